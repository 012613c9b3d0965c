"""The ledger beside the providers' bills, against a sandbox that bills what it really served."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import orjson
import pytest
from tests.app.bills import NOON, Billed, billed

from aegis.app.bills import bills_of
from aegis.app.exporting import charges_of
from aegis.app.reconciling import Ran
from aegis.core.incidents import Status
from aegis.core.money import format_usd
from aegis.core.ports import HttpRequest
from aegis.core.secret import Secret

pytestmark = pytest.mark.anyio

WORDS = 20_000
"""About two cents a question: a dozen is a quarter of a dollar."""


async def run(here: Billed, **more: object) -> Ran:
    return await here.reconciling.run(days=7, by="test", providers=["anthropic"], **more)  # type: ignore[arg-type]


async def test_what_passed_aegis_agrees_with_the_bill(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        spent = await here.governed() + await here.governed()
        here.days_pass(2)

        ran = await run(here)

        assert ran.problems == {}
        [row] = ran.rows
        assert (row["state"], row["billed_usd"], row["drift_usd"]) == ("agrees", format_usd(spent), "0.00")
        assert row["day"] == NOON.date().isoformat()


async def test_spending_behind_aegis_is_found_told_booked_once_and_counted(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        ours = await here.governed()
        theirs = await here.behind(WORDS, times=12)
        here.days_pass(2)

        found = await run(here)
        applied = await run(here, apply="all")
        again = await run(here, apply="all")

        [row] = found.rows
        assert (row["state"], row["cause"], row["to_book_usd"]) == ("differs", "outside", format_usd(theirs))
        assert row["incident"]
        assert list(applied.done.booked.values()) == [theirs]
        assert again.done.booked == {}
        assert await here.total() == ours + theirs
        [row] = again.rows
        assert (row["state"], row["drift_usd"], row["incident"]) == ("agrees", "0.00", None)


async def test_the_incident_names_provider_day_figures_and_cause_and_resolves_when_reconciled(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        theirs = await here.behind(WORDS, times=12)
        here.days_pass(2)

        [row] = (await run(here)).rows
        opened = await here.app.incidents.get(str(row["incident"]))
        again = await run(here)
        await run(here, apply="outside")
        closed = await here.app.incidents.get(str(row["incident"]))

        assert opened is not None
        assert closed is not None
        assert (opened.kind, opened.severity.name, opened.status) == ("spend", "HIGH", Status.OPEN)
        facts = opened.detections[0].evidence
        assert (facts["provider"], facts["day"], facts["ledger"]) == ("anthropic", "2026-11-18", "$0.0000")
        assert facts["billed"] == f"${theirs / 1_000_000_000:.4f}"
        assert "never passed Aegis" in str(facts["cause"])
        assert again.rows[0]["incident"] == row["incident"]
        assert closed.status is Status.RESOLVED


async def test_what_was_spent_outside_crosses_levels_of_its_own_day_and_month(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        await here.governed()
        await here.behind(WORDS, times=45)
        here.days_pass(2)

        await run(here, apply="outside")

        told = {(one.window, one.level) for one in here.app.crossings if one.budget == "everything"}
        assert ("day 2026-11-18", "warning") in told
        assert ("day 2026-11-18", "critical") in told
        assert not any(window.startswith("day 2026-11-20") for window, _ in told)
        month = next(one for one in await here.app.governor.balances() if one.window == "month")
        assert month.settled == await here.total()
        parts = {one.part for one in await here.app.governor.balances() if one.budget == "keys"}
        assert parts == {"red", "(outside)"}


async def test_a_full_budget_never_refuses_what_was_spent_already(tmp_path: Path) -> None:
    async with billed(tmp_path / "home", more=_SMALL) as here:
        theirs = await here.behind(WORDS, times=12)
        here.days_pass(2)

        ran = await run(here, apply="outside")

        assert sum(ran.done.booked.values()) == theirs
        month = next(one for one in await here.app.governor.balances() if one.budget == "tiny")
        assert (month.settled, month.overrun) == (theirs, theirs - month.limit)
        assert any(one.budget == "tiny" and one.level == "emergency" for one in here.app.crossings)


async def test_a_call_that_was_never_billed_is_given_back(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        ours = await here.governed()
        worst = await here.governed(lost=True)
        here.days_pass(2)

        before = await run(here)
        alone = await run(here, apply="outside")
        applied = await run(here, apply="all")

        assert (before.rows[0]["cause"], before.rows[0]["to_refund_usd"]) == ("unknown", format_usd(worst))
        assert alone.done.refunded == 0
        assert (applied.done.refunded, applied.done.corrected) == (worst, 1)
        assert await here.total() == ours
        month = next(one for one in await here.app.governor.balances() if one.window == "month")
        assert month.settled == ours
        assert (await run(here, apply="all")).done.corrected == 0


async def test_a_call_that_did_not_say_what_it_used_is_settled_at_what_the_bill_says(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        worst = await here.governed(silent=True)
        here.days_pass(2)

        ran = await run(here, apply="all")

        truth = here.world.received("anthropic").billed
        assert 0 < truth < worst
        assert await here.total() == truth
        assert ran.done.refunded == worst - truth


async def test_a_day_that_is_fresh_is_shown_and_not_judged(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        await here.behind(WORDS, times=12)
        here.clock.pass_ms(17 * 3_600_000)  # five hours after midnight, one less than the provider may take

        ran = await run(here, apply="all")
        here.clock.pass_ms(3_600_000)
        later = await run(here, apply="all")

        assert [(row["state"], row["incident"]) for row in ran.rows] == [("provisional", None)]
        assert ran.done.booked == {}
        assert len(later.done.booked) == 1


async def test_a_bill_that_is_restated_upwards_adds_only_what_is_new(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        first = await here.behind(WORDS, times=12)
        room = here.world._rooms["anthropic"]  # the vendor's own book
        here.days_pass(2)
        await run(here, apply="outside")
        [(key, held)] = room.every("billed").items()
        room.put("billed", key, {**held, "nanos": held["nanos"] + 200_000_000})

        ran = await run(here, apply="outside")

        assert list(ran.done.booked.values()) == [200_000_000]
        assert ran.rows[0]["restated"] is True
        assert await here.total() == first + 200_000_000


async def test_a_bill_that_is_restated_downwards_gives_nothing_back(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        first = await here.behind(WORDS, times=12)
        room = here.world._rooms["anthropic"]
        here.days_pass(2)
        await run(here, apply="outside")
        [(key, held)] = room.every("billed").items()
        room.put("billed", key, {**held, "nanos": held["nanos"] // 2})

        ran = await run(here, apply="all")

        assert await here.total() == first
        assert (ran.rows[0]["state"], ran.rows[0]["cause"]) == ("differs", "above")


async def test_every_face_shows_one_total_after_it_was_taken_over(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        await here.governed()
        await here.governed(silent=True)
        await here.behind(WORDS, times=12)
        here.days_pass(2)
        await run(here, apply="all")

        assert here.app.spendwatch is not None
        database = here.app.spendwatch.hours.database
        first, last = date(2026, 11, 1), date(2026, 11, 30)
        charges = await charges_of(database, here.app.governor.prices, first, last)
        hours = await here.app.spendwatch.hours.by_hour(NOON - timedelta(days=5), {})

        total = await here.total()
        assert total == here.world.received("anthropic").billed
        assert sum(charge.cost for charge in charges) == total
        assert sum(hours[()].values()) == total


async def test_taking_over_stands_on_the_audit_log_and_looking_does_not(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        theirs = await here.behind(WORDS, times=12)
        here.days_pass(2)

        await run(here)
        looked = [one.what for one in await here.app.audit.entries()]
        await run(here, apply="all")
        await run(here, apply="all")

        entries = [one for one in await here.app.audit.entries() if one.what == "reconcile.apply"]
        assert "reconcile.apply" not in looked
        assert [(one.who, one.facts["booked anthropic 2026-11-18"]) for one in entries] == [
            ("test", format_usd(theirs))
        ]


async def test_a_provider_that_does_not_answer_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        await here.governed()
        here.days_pass(2)
        here.world.fault("openai", "503")

        ran = await here.reconciling.run(days=7, by="test", providers=["anthropic", "openai"])

        assert set(ran.problems) == {"openai"}
        assert [row["provider"] for row in ran.rows] == ["anthropic"]


@pytest.mark.parametrize("mode", ["garbage", "wrong_json", "huge", "cut", "reset", "401", "429", "500"])
async def test_an_answer_that_cannot_be_used_changes_nothing(tmp_path: Path, mode: str) -> None:
    async with billed(tmp_path / "home") as here:
        spent = await here.governed(silent=True)
        here.days_pass(2)
        here.world.fault("anthropic", mode)

        ran = await run(here, apply="all")

        assert (set(ran.problems), list(ran.rows)) == ({"anthropic"}, [])
        assert await here.total() == spent


_SMALL = "  tiny: {scope: {service: anthropic}, monthly: {emergency: 0.01}}\n"


async def test_openai_twilio_and_virustotal_are_found_out_as_well(tmp_path: Path) -> None:
    async with billed(tmp_path / "home", extra=("twilio",)) as here:
        gpt = await _gpt(here)
        sms = await _sms(here)
        for _ in range(3):
            await here.http.send(
                HttpRequest(
                    service="virustotal",
                    method="GET",
                    url=f"{here.base}/virustotal/api/v3/ip_addresses/198.51.100.23",
                    headers={"x-apikey": "sandbox-key"},
                )
            )
        quota = await here.reconciling.run(days=1, by="test", providers=["virustotal"], apply="outside")
        here.days_pass(3)

        ran = await here.reconciling.run(days=7, by="test", providers=["openai", "twilio"], apply="outside")

        booked = {service: more for (service, _), more in ran.done.booked.items()}
        assert booked == {"openai": gpt, "twilio": sms}
        assert [(row["billed"], row["outside"], row["drift"]) for row in quota.rows] == [(3, 3, 0)]


async def test_a_quota_counts_what_others_used_of_it(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        url = f"{here.base}/virustotal/api/v3/ip_addresses/198.51.100.23"
        for _ in range(3):
            await here.http.send(
                HttpRequest(service="virustotal", method="GET", url=url, headers={"x-apikey": "sandbox-key"})
            )

        await here.reconciling.run(days=1, by="test", providers=["virustotal"], apply="outside")
        await here.reconciling.run(days=1, by="test", providers=["virustotal"], apply="outside")

        quota = next(one for one in await here.app.governor.balances() if one.budget == "virustotal")
        assert quota.settled == 3


async def _gpt(here: Billed) -> int:
    body = {"model": "gpt-6-sol", "messages": [{"role": "user", "content": "word " * 60_000}]}
    headers = {"authorization": "Bearer sandbox-key", "content-type": "application/json"}
    url = f"{here.base}/openai/v1/chat/completions"
    answer = await here.http.send(
        HttpRequest(service="openai", method="POST", url=url, headers=headers, body=orjson.dumps(body))
    )
    assert answer.status == 200, answer.body
    return here.world.received("openai").billed


async def _sms(here: Billed) -> int:
    account = "AC" + "0" * 32
    for _ in range(3):
        answer = await here.http.send(
            HttpRequest(
                service="twilio",
                method="POST",
                url=f"{here.base}/twilio/2010-04-01/Accounts/{account}/Messages.json",
                headers={
                    "authorization": "Basic QUM6c2FuZGJveA==",
                    "content-type": "application/x-www-form-urlencoded",
                },
                body=b"To=%2B15005550001&From=%2B15005550006&Body=hello",
            )
        )
        assert answer.status == 201, answer.body
    return here.world.received("twilio").billed


async def test_a_running_aegis_does_it_once_a_day_books_what_is_outside_and_gives_nothing_back(tmp_path: Path) -> None:
    async with billed(tmp_path / "home", more=_ONLY_CLAUDE) as here:
        worst = await here.governed(lost=True)
        theirs = await here.behind(WORDS, times=12)
        await here.reconciling.tick(here.clock.now())
        assert await here.total() == worst  # a start asks nobody
        here.days_pass(1)

        await here.reconciling.tick(here.clock.now())
        asked = here.world.received("anthropic").received
        await here.reconciling.tick(here.clock.now())

        assert here.world.received("anthropic").received == asked
        assert await here.total() == theirs
        rows, read = await here.reconciling.known(7)
        assert read["problems"] == {}
        assert [row["incident"] is None for row in rows if row["state"] != "provisional"] == [False]


async def test_its_incident_waits_for_the_next_day_to_resolve_when_nobody_watched(tmp_path: Path) -> None:
    async with billed(tmp_path / "home", more=_ONLY_CLAUDE) as here:
        await here.reconciling.tick(here.clock.now())
        await here.behind(WORDS, times=12)
        here.days_pass(1)
        await here.reconciling.tick(here.clock.now())
        [incident] = [row["incident"] for row in (await here.reconciling.known(7))[0] if row["incident"]]
        then = await here.app.incidents.get(str(incident))
        here.days_pass(1)

        await here.reconciling.tick(here.clock.now())

        now = await here.app.incidents.get(str(incident))
        assert then is not None
        assert now is not None
        assert (then.status, now.status) == (Status.OPEN, Status.RESOLVED)


async def test_who_did_not_answer_is_asked_again_alone_an_hour_later(tmp_path: Path) -> None:
    async with billed(tmp_path / "home", more=_CLAUDE_AND_GPT) as here:
        await here.reconciling.tick(here.clock.now())
        here.days_pass(1)
        here.world.fault("openai", "503")
        await here.reconciling.tick(here.clock.now())
        here.world.fault("openai", "ok")
        claude = here.world.received("anthropic").received
        await here.reconciling.tick(here.clock.now())
        early = here.world.received("openai").received
        here.clock.pass_ms(3_600_000)

        await here.reconciling.tick(here.clock.now())

        assert early == 0
        assert here.world.received("openai").received == 2
        assert here.world.received("anthropic").received == claude


_ONLY_CLAUDE = "reconcile: {providers: [anthropic]}\n"
_CLAUDE_AND_GPT = "reconcile: {providers: [anthropic, openai]}\n"


async def test_aws_is_asked_through_boto3_for_a_cent_that_the_ledger_counts(tmp_path: Path) -> None:
    async with billed(tmp_path / "home") as here:
        for _ in range(3):
            answer = await here.http.send(
                HttpRequest(
                    service="athena",
                    method="POST",
                    url=f"{here.base}/athena/",
                    headers={
                        "authorization": "AWS4-HMAC-SHA256 x",
                        "x-amz-target": "AmazonAthena.StartQueryExecution",
                        "content-type": "application/x-amz-json-1.1",
                    },
                    body=b'{"QueryString":"select * from security_events"}',
                )
            )
            assert answer.status == 200
        config = here.app.config
        asking = replace(config.reconcile, providers=("aws",))
        here.reconciling.bills = bills_of(
            replace(config, reconcile=asking, aws=replace(config.aws, base_url=here.base)),
            here.http,
            clock=here.clock,
            new_id=here.app.new_id,
            resolve=lambda _: Secret("sandbox-key"),
            governor=here.app.governor,
        )
        here.days_pass(3)

        ran = await here.reconciling.run(days=7, by="test", providers=["aws"], apply="all")

        assert ran.problems == {}
        assert list(ran.done.booked.values()) == [here.world.received("athena").billed]
        spent = {one.service: one.cost for one in await here.app.governor.spent()}
        assert (spent["ce"], spent["cloudwatch"]) == (10_000_000, 60_000)
