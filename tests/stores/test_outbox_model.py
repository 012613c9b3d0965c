"""SQLite and memory are the same outbox: whatever is asked of both, in whatever order, they answer alike."""

from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stores.making import Stores, after, delivery, opened

from aegis.core.incidents import Severity
from aegis.core.notifications import Delivery, Receipt

INCIDENTS, SERVICES = ("a", "b"), ("slack", "slack", "slack", "jira")
CHANGES = ("opened", "analysed", "raised", "resolved")
ENDS = ("done", "done", "retry", "retry", "bury", "replay", "drop")
PLACING = st.tuples(
    st.just("place"),
    st.sampled_from(INCIDENTS),
    st.integers(1, 6),
    st.sampled_from(SERVICES),
    st.sampled_from(Severity),
    st.sampled_from(CHANGES),
)
CLAIMING = st.tuples(st.just("claim"), st.sampled_from(SERVICES), st.integers(1, 3))
ENDING = st.tuples(st.sampled_from(ENDS), st.integers(0, 3))
PASSING = st.tuples(st.just("pass"), st.sampled_from([1, 20, 61, 700]))
STEPS = st.lists(st.one_of(PLACING, CLAIMING, ENDING, PASSING), min_size=15, max_size=40)


async def lived(stores: Stores, steps: list[tuple[object, ...]]) -> list[object]:
    """What a store answers to a history; the same steps choose the same deliveries as long as the answers agree."""
    now, held, answers = 0, list[Delivery](), list[object]()
    for step in steps:
        match step:
            case ("place", str(name), int(version), str(service), Severity() as priority, change):
                one = delivery(name, version, service=service, priority=priority, at=now, change=change)  # type: ignore[arg-type]
                await stores.place(one)
            case ("claim", str(service), int(limit)):
                claimed = await stores.claim(service, limit=limit, at=now)
                held += claimed
                answers.append(claimed)
            case ("pass", int(seconds)):
                now += seconds
            case (str(end), int(pick)) if held:
                answers.append(await ended(stores, end, held[-1 - pick % len(held)], now))
            case _:
                continue
        due = [await stores.outbox.next_due(service) for service in set(SERVICES)]
        answers.append((await stores.outbox.counts(), due, await stores.outbox.undelivered()))
    answers.append(await stores.outbox.dead(99))
    return answers


async def ended(stores: Stores, end: str, one: Delivery, now: int) -> bool | None:
    match end:
        case "done":
            await stores.outbox.done(one, Receipt(remote_id=f"{one.id}!"), now=after(now))
        case "retry":
            await stores.outbox.retry(one, due_at=after(now + 20), error="503")
        case "bury":
            await stores.outbox.bury(one, error="400", now=after(now))
        case "replay":
            return await stores.outbox.replay(one.id, now=after(now))
        case "drop":
            return await stores.outbox.drop(one.id)
    return None


async def both(steps: list[tuple[object, ...]]) -> None:
    async with opened("memory", Path()) as memory, opened("sqlite memory", Path()) as sqlite:
        assert await lived(memory, steps) == await lived(sqlite, steps)


@settings(max_examples=60)
@given(STEPS)
def test_sqlite_and_memory_answer_alike(steps: list[tuple[object, ...]]) -> None:
    anyio.run(both, steps)
