"""Claims about messages that cost money: asked of the governor first, covered by their own budget only."""

from collections.abc import Sequence

import pytest
from tests.connectors.stories import notification

from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Usage
from aegis.core.errors import Billed, BudgetExceeded, ServiceError, Stopped
from aegis.core.incidents import Severity
from aegis.core.money import usd
from aegis.core.notifications import Notification, Receipt
from aegis.core.windows import WindowPolicy
from aegis.governor.governor import Governor
from aegis.governor.pricing import load_prices
from aegis.incidents.messages import GovernedMessenger
from aegis.stores.memory_ledger import MemoryLedger
from aegis.testing import FakeClock, FixedIds

pytestmark = pytest.mark.anyio

HERE, ABROAD = "+14155550100", "+491701234567"


class Way:
    """A metered way to people that follows a script of errors."""

    name, service, operation = "sms", "twilio", "message"

    def __init__(self, *script: ServiceError | None, recipients: Sequence[str] = (HERE,)) -> None:
        self.script, self.recipients = list(script), recipients
        self.sent: list[tuple[str, str]] = []

    def accepts(self, to: str) -> bool:
        return to.startswith("+")

    def priced(self, to: str) -> str:
        return "us" if to.startswith("+1") else "abroad"

    def taken(self, to: str, notification: Notification) -> Receipt | None:
        return Receipt(remote_id="SM1") if (to, "done") in self.sent else None

    def worst(self, notification: Notification, *, bridge: str = "") -> Usage:
        return {"messages": 2}

    async def send(self, to: str, notification: Notification, *, bridge: str = "") -> Receipt:
        error = self.script.pop(0) if self.script else None
        if error:
            raise error
        self.sent.append((to, "done"))
        return Receipt(remote_id="SM1")


def budget(name: str, limit: str, **scope: str) -> Budget:
    amounts = Amounts(window=WindowPolicy(kind="day"), emergency=usd(limit))
    return Budget(name=name, windows=(amounts,), scope=scope)


def governor(*budgets: Budget) -> Governor:
    clock = FakeClock()
    return Governor(budgets=budgets, prices=load_prices(), ledger=MemoryLedger(clock), clock=clock)


def messenger(way: Way, admits: Governor) -> GovernedMessenger:
    return GovernedMessenger(way, governor=admits, new_id=FixedIds())


async def test_a_message_is_booked_at_its_segments() -> None:
    async with governor(budget("alarms", "1", service="twilio")) as admits:
        await messenger(Way(), admits).send(HERE, notification())
        await messenger(Way(), admits).send(ABROAD, notification())
        [spend] = await admits.spent()
    assert spend.cost == 2 * usd("0.0083") + 2 * usd("0.35")


async def test_an_alarm_leaves_though_everything_is_spent_and_stopped() -> None:
    async with governor(budget("everything", "0.001"), budget("alarms", "1", service="twilio")) as admits:
        await admits.stop({}, "emergency")
        await admits.stop({"severity": "HIGH"}, "noise")
        way = Way()
        await messenger(way, admits).send(HERE, notification())
    assert way.sent == [(HERE, "done")]


async def test_its_own_budget_and_its_own_switch_hold() -> None:
    async with governor(budget("alarms", "0.02", service="twilio")) as admits:
        told = messenger(Way(), admits)
        await told.send(HERE, notification())
        with pytest.raises(BudgetExceeded):
            await told.send(HERE + "1", notification())
        await admits.stop({"service": "twilio"}, "a person said so")
        with pytest.raises(Stopped):
            await told.send(HERE + "2", notification())


async def test_a_message_that_did_not_leave_costs_nothing() -> None:
    gone = ServiceError("twilio", "answered 400 21211", retryable=False, billed=Billed.NO)
    async with governor(budget("alarms", "1", service="twilio")) as admits:
        with pytest.raises(ServiceError):
            await messenger(Way(gone), admits).send(HERE, notification())
        assert all(spend.cost == 0 for spend in await admits.spent())


async def test_a_message_that_was_taken_before_is_neither_sent_nor_booked_again() -> None:
    way = Way()
    async with governor(budget("alarms", "1", service="twilio")) as admits:
        told = messenger(way, admits)
        await told.send(HERE, notification())
        await told.send(HERE, notification())
        [spend] = await admits.spent()
    assert (len(way.sent), spend.cost) == (1, 2 * usd("0.0083"))


async def test_everybody_is_told_by_default_and_only_the_rest_again() -> None:
    later = ServiceError("twilio", "answered 503", retryable=True)
    way = Way(None, later, recipients=(HERE, ABROAD))
    async with governor(budget("alarms", "5", service="twilio")) as admits:
        told = messenger(way, admits)
        with pytest.raises(ServiceError) as caught:
            await told.notify(notification(Severity.CRITICAL), remote_id="")
        assert caught.value is later
        await told.notify(notification(Severity.CRITICAL), remote_id="")
    assert way.sent == [(HERE, "done"), (ABROAD, "done")]


async def test_a_refusal_is_no_success_of_a_delivery() -> None:
    async with governor(budget("alarms", "0", service="twilio")) as admits:
        with pytest.raises(ServiceError) as caught:
            await messenger(Way(), admits).notify(notification(), remote_id="")
    assert (caught.value.retryable, caught.value.billed) == (True, Billed.NO)
    assert "not sent" in str(caught.value)


async def test_one_wrong_number_keeps_nobody_else_from_hearing() -> None:
    gone = ServiceError("twilio", "answered 400 21211", retryable=False, billed=Billed.NO)
    way = Way(gone, None, recipients=(HERE, ABROAD))
    async with governor(budget("alarms", "5", service="twilio")) as admits:
        receipt = await messenger(way, admits).notify(notification(), remote_id="")
    assert way.sent == [(ABROAD, "done")]
    assert receipt.note.startswith("1 of 2 were refused")
