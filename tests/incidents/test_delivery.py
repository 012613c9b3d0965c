"""Lanes: each service at its own pace, failures tried again, nothing lost, nothing sent twice for want of patience."""

from collections.abc import Callable, Sequence
from datetime import datetime

import anyio
import pytest
from tests.incidents.lanes import MINUTE, SECOND, House, delivery, failing, most, titles

from aegis.core.errors import Billed, ServiceError, StoreError
from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, Notification, Receipt
from aegis.core.ports import Work
from aegis.core.telemetry import DeliveryEnded
from aegis.core.wording import state
from aegis.incidents.delivery import ATTEMPT_MS, CUT_EVERY_MS, LEASE_MS, Lanes
from aegis.incidents.lane import BACKOFF_MAX_MS, BREAKER, LaneRule, backoff_ms
from aegis.testing import START, FakeClock, FakeNotifier, MemoryOutbox, MemoryStore, Recorder, settle

pytestmark = pytest.mark.anyio


async def test_what_is_due_is_sent_and_recorded() -> None:
    slack = FakeNotifier("slack", [Receipt(remote_id="ts", note="posted")])
    house = House(slack)
    await house.place(delivery("a"))

    assert await house.drain() == 0

    assert titles(slack) == ["a"]
    assert await house.store.outbox.counts() == {"slack": {"done": 1}}
    assert [
        (one.service, one.outcome, one.message) for one in house.seen.happened if isinstance(one, DeliveryEnded)
    ] == [("slack", "done", "posted")]


async def test_an_update_edits_the_message_that_was_sent() -> None:
    slack = FakeNotifier("slack", [Receipt(remote_id="ts")])
    house = House(slack)
    await house.place(delivery("a"))
    await house.drain()
    await house.place(delivery("a", 2, change="analysed"))
    await house.drain()

    assert slack.remote_ids == ["", "ts"]


async def test_new_deliveries_wake_their_lane_without_waiting_for_a_poll() -> None:
    slack = FakeNotifier("slack")
    house = House(slack)
    async with house.running():
        await house.place(delivery("a"))
        await settle()

        assert (titles(slack), house.clock.now()) == (["a"], START)


async def test_what_another_process_put_in_is_found_by_looking() -> None:
    slack = FakeNotifier("slack")
    house = House(slack)
    async with house.running():
        await house.store.incidents.commit(Work(deliveries=[delivery("a")]))
        await house.clock.advance(5 * SECOND)

    assert titles(slack) == ["a"]


async def test_the_wait_between_attempts_doubles_and_is_bounded() -> None:
    waits = [backoff_ms(attempts, most) for attempts in (1, 2, 3, 10, 11, 1_000)]

    assert waits == [1_000, 2_000, 4_000, 512_000, BACKOFF_MAX_MS, BACKOFF_MAX_MS]
    assert backoff_ms(1, lambda low, _high: low) == 0
    assert backoff_ms(1, most, least_ms=9_000) == 9_000


async def test_a_failure_that_may_pass_is_tried_again_after_a_pause() -> None:
    slack = FakeNotifier("slack", [failing(), failing()])
    house = House(slack)
    await house.place(delivery("a"))

    assert await house.drain(2_999) == 1
    assert len(slack.told) == 2  # at 0 and after 1 s; the third is due 2 s later
    assert await house.drain(1) == 0

    assert house.ends() == ["retry", "retry", "done"]


async def test_a_drain_without_time_sends_what_is_due_once() -> None:
    slack = FakeNotifier("slack", [failing()])
    house = House(slack)
    await house.place(delivery("a"), delivery("b"))

    assert await house.drain() == 1
    assert titles(slack) == ["a", "b"]


async def test_a_pause_that_the_service_asks_for_is_kept_by_the_whole_lane() -> None:
    slack = FakeNotifier("slack", [failing(status=429, retry_after_ms=30 * SECOND)])
    house = House(slack)
    await house.place(delivery("a"), delivery("b"))

    await house.drain(30 * SECOND - 1)
    assert titles(slack) == ["a"]
    assert house.ends() == ["retry"]
    assert [(state.service, state.paused_ms) for state in house.lanes.states()] == [("slack", 1)]

    await house.drain(1)
    assert titles(slack) == ["a", "a", "b"]


async def test_a_refusal_for_good_is_a_dead_letter_at_once() -> None:
    slack = FakeNotifier("slack", [failing(status=400, retryable=False)])
    house = House(slack)
    await house.place(delivery("a"), delivery("b"))

    assert await house.drain() == 0

    assert await house.store.outbox.counts() == {"slack": {"dead": 1, "done": 1}}
    assert house.ends() == ["dead", "done"]


@pytest.mark.parametrize("billed", [Billed.NO, Billed.UNKNOWN])
async def test_a_dead_letter_of_which_nobody_knows_whether_it_was_taken_is_replayed_as_a_repeat(billed: Billed) -> None:
    slack = FakeNotifier("slack", [ServiceError("slack", "answered 202", retryable=False, billed=billed)])
    house = House(slack)
    await house.place(delivery("a"))
    await house.drain()
    assert await house.store.outbox.replay("a:slack:1", now=house.clock.now())
    await house.drain()

    assert [said.again for said in slack.told] == [False, billed is Billed.UNKNOWN]


async def test_after_a_day_of_failures_a_delivery_is_given_up() -> None:
    slack = FakeNotifier("slack", [failing() for _ in range(10_000)])
    house = House(slack)
    await house.place(delivery("a"))

    left = []
    for _ in range(24 * 4 + 1):
        left.append(await house.drain())
        house.clock.pass_ms(16 * MINUTE)

    assert left == [1] * 90 + [0] * 7  # ninety times sixteen minutes are a day
    (dead,) = await house.store.outbox.dead(2)
    assert (dead.last_error, dead.attempts) == ("slack: answered 503", 91)


async def test_a_connector_that_breaks_is_tried_again_and_stops_nobody() -> None:
    class Broken(FakeNotifier):
        async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
            if notification.title == "bad":
                raise KeyError("secret-of-the-body")
            return await super().notify(notification, remote_id=remote_id)

    slack = Broken("slack")
    house = House(slack)
    await house.place(delivery("bad"), delivery("good"))

    assert await house.drain() == 1
    assert titles(slack) == ["good"]
    (told,) = [one.message for one in house.seen.happened if isinstance(one, DeliveryEnded) and one.outcome == "retry"]
    assert told == "slack: the connector failed (KeyError)"


class Silent(FakeNotifier):
    """A service that takes the connection and never answers."""

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        self.told.append(notification)
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_service_that_never_answers_delays_nobody_else() -> None:
    silent, jira = Silent("slack"), FakeNotifier("jira")
    house = House(silent, jira)
    await house.place(delivery("a"), delivery("a", service="jira"), delivery("b", service="jira"))

    async with house.running():
        assert (titles(silent), titles(jira)) == (["a"], ["a", "b"])


async def test_an_attempt_without_an_end_is_cut_before_its_lease_runs_out() -> None:
    silent = Silent("slack")
    house = House(silent)
    await house.place(delivery("a"))

    assert await house.drain(ATTEMPT_MS) == 1

    assert (ATTEMPT_MS + CUT_EVERY_MS < LEASE_MS, house.ends(), len(silent.told)) == (True, ["retry"], 1)


async def test_a_service_that_is_down_is_left_alone_then_asked_with_one() -> None:
    slack = FakeNotifier("slack", [failing() for _ in range(4)])
    house = House(slack)
    await house.place(*(delivery(f"{number:02d}") for number in range(20)))

    await house.drain(BREAKER.recovery_ms - 1)
    assert len(slack.told) == BREAKER.failures
    await house.drain(1)
    assert len(slack.told) == BREAKER.failures + 1  # one probe, which failed
    assert house.lanes.states()[0].why == "slack: answered 503"

    assert await house.drain(BREAKER.recovery_ms) == 0
    assert len(slack.told) == 4 + 20
    assert house.lanes.states()[0].paused_ms == 0


async def test_messages_keep_their_distance_after_a_burst() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules={"slack": LaneRule(concurrency=4, spacing_ms=1_000, burst=3)})
    await house.place(*(delivery(f"{number:02d}") for number in range(10)))

    sent = []
    for _ in range(4):
        await house.drain(0)
        sent.append(len(slack.told))
        await house.drain(1_000)

    assert sent == [3, 4, 5, 6]


async def test_while_a_lane_is_spaced_out_the_worst_still_goes_next() -> None:
    slack = FakeNotifier("slack")
    house = House(slack, rules={"slack": LaneRule(concurrency=4, spacing_ms=1_000, burst=1)})
    await house.place(*(delivery(f"mild-{number}", priority=Severity.LOW) for number in range(5)))
    await house.drain()
    await house.place(delivery("worst", priority=Severity.CRITICAL))
    await house.drain(1_000)

    assert titles(slack)[:2] == ["mild-0", "worst"]


class Counting(FakeNotifier):
    """Counts how many sends are under way at once."""

    now = most = 0

    async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
        self.now += 1
        self.most = max(self.most, self.now)
        await anyio.lowlevel.checkpoint()
        self.now -= 1
        return await super().notify(notification, remote_id=remote_id)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_lane_sends_as_many_at_once_as_its_rule_says(concurrency: int) -> None:
    jira = Counting("jira")
    house = House(jira, rules={"jira": LaneRule(concurrency=concurrency)})
    await house.place(*(delivery(f"{number:02d}", service="jira") for number in range(20)))

    assert await house.drain() == 0

    assert (jira.most, len(jira.taken)) == (concurrency, 20)


class Slow(MemoryOutbox):
    """An outbox that lets others run while it claims, as a real store does."""

    async def claim(
        self, service: str, *, limit: int, now: datetime, lease_ms: int, fresh: bool = False
    ) -> Sequence[Delivery]:
        await anyio.lowlevel.checkpoint()
        return await super().claim(service, limit=limit, now=now, lease_ms=lease_ms, fresh=fresh)


async def test_a_drain_beside_the_running_lanes_keeps_their_rules() -> None:
    jira, clock, outbox = Counting("jira"), FakeClock(), Slow()
    rules = {"jira": LaneRule(concurrency=2)}
    lanes = Lanes(outbox=outbox, notifiers=[jira], clock=clock, pick=most, observe=Recorder(), rules=rules)
    for number in range(20):
        outbox.put(delivery(f"{number:02d}", service="jira"))

    async with anyio.create_task_group() as group:
        group.start_soon(lanes.run)
        left = await lanes.drain(until=START)
        group.cancel_scope.cancel()

    assert (left, jira.most, len(jira.taken)) == (0, 2, 20)


class Failing:
    """An outbox whose store fails when it is told to."""

    def __init__(self, inner: MemoryOutbox) -> None:
        self._inner, self.broken = inner, False

    def __getattr__(self, name: str) -> Callable[..., object]:
        if self.broken:
            raise StoreError("the disk is full")
        found: Callable[..., object] = getattr(self._inner, name)
        return found


async def test_while_the_store_is_down_the_lanes_wait_and_then_go_on() -> None:
    slack, clock, store = FakeNotifier("slack"), FakeClock(), MemoryStore()
    outbox = Failing(store.outbox)
    lanes = Lanes(outbox=outbox, notifiers=[slack], clock=clock, pick=most, observe=Recorder())  # type: ignore[arg-type]
    await store.incidents.commit(Work(deliveries=[delivery("a")]))
    outbox.broken = True

    async with anyio.create_task_group() as group:
        group.start_soon(lanes.run)
        await clock.advance(10 * SECOND)
        assert slack.told == []
        outbox.broken = False
        await clock.advance(SECOND)
        group.cancel_scope.cancel()

    assert titles(slack) == ["a"]


async def test_an_end_that_could_not_be_recorded_is_sent_again_when_its_lease_runs_out() -> None:
    slack, clock, store = FakeNotifier("slack"), FakeClock(), MemoryStore()
    outbox = Failing(store.outbox)

    class Unlucky(FakeNotifier):
        async def notify(self, notification: Notification, *, remote_id: str) -> Receipt:
            outbox.broken = not self.told
            return await super().notify(notification, remote_id=remote_id)

    slack = Unlucky("slack")
    lanes = Lanes(outbox=outbox, notifiers=[slack], clock=clock, pick=most, observe=Recorder())  # type: ignore[arg-type]
    await store.incidents.commit(Work(deliveries=[delivery("a")]))

    async with anyio.create_task_group() as group:
        group.start_soon(lanes.run)
        await clock.advance(0)
        outbox.broken = False
        await clock.advance(LEASE_MS + 5 * SECOND)
        group.cancel_scope.cancel()

    assert [one.dedup_key for one in slack.told] == ["a", "a"]
    assert await store.outbox.undelivered() == 0


async def test_a_message_that_may_have_come_before_says_so() -> None:
    lost = ServiceError("slack", "did not answer in time", retryable=True, billed=Billed.UNKNOWN)
    slack = FakeNotifier("slack", [lost, Receipt(remote_id="ts")])
    house = House(slack)
    await house.place(delivery("a"))
    await house.drain(5 * SECOND)
    await house.place(delivery("a", 2, change="analysed"))
    await house.drain(5 * SECOND)

    assert [said.again for said in slack.told] == [False, True, False]
    assert "sent again" in state(slack.told[1])


async def test_a_message_that_was_rightly_refused_is_not_called_a_repeat() -> None:
    slack = FakeNotifier("slack", [failing()])
    house = House(slack)
    await house.place(delivery("a"))
    await house.drain(5 * SECOND)

    assert [said.again for said in slack.told] == [False, False]


async def test_what_a_killed_sender_held_is_called_a_repeat() -> None:
    slack = FakeNotifier("slack")
    house = House(slack)
    await house.place(delivery("a"))
    await house.store.outbox.claim("slack", limit=1, now=START, lease_ms=LEASE_MS)

    await house.drain(LEASE_MS + 5 * SECOND)

    assert [said.again for said in slack.told] == [True]
