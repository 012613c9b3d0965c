"""A world counts, bounds what it keeps, never keeps a secret, and comes back from its journal as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.places import NOW, HandClock

from aegis.core.errors import BadInput, ConfigError
from aegis.sandbox.exchange import Asked
from aegis.sandbox.journal import Journal
from aegis.sandbox.records import BODY_KEPT, RECORDS_MAX
from aegis.sandbox.registry import SERVICES
from aegis.sandbox.room import Room, Terms
from aegis.sandbox.world import World

CANARY = "canary-3f2e1d0c9b8a7f6e5d4c3b2a10"


def event(dedup: str = "inc-1", action: str = "trigger", summary: str = "data leaves") -> Asked:
    body = {"routing_key": "e" * 32, "event_action": action, "dedup_key": dedup}
    payload = {"summary": summary, "source": "aegis", "severity": "critical"}
    return asked("/v2/enqueue", {**body, "payload": payload} if action == "trigger" else body)


def asked(path: str, value: Any = None, **headers: str) -> Asked:
    sent = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return Asked(method="POST", path=path, at=NOW, headers=sent, body=json.dumps(value).encode())


def question(text: str = "what happened?") -> Asked:
    value = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return asked("/v1/messages", value, x_api_key=CANARY, anthropic_version="2026-10-21")


def everything(world: World) -> dict[str, Any]:
    tallies = {name: (tally.to_json(), list(tally.records)) for name, tally in world.tallies().items()}
    return {"tallies": tallies, "incidents": world.documents("pagerduty", "incident")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sandbox.jsonl"


def test_a_restart_remembers_alerts_counts_bills_and_requests(path: Path, clock: HandClock) -> None:
    first = World(clock=clock, journal=path)
    for one in (event(), event("inc-2"), event("inc-2", "resolve")):
        first.receive("pagerduty", one)
    first.receive("anthropic", question())
    first.receive("anthropic", asked("/v1/messages"))
    first.note("prometheus", "a scrape")
    before = everything(first)
    first.close()
    second = World(clock=clock, journal=path)
    assert everything(second) == before
    assert before["tallies"]["anthropic"][0]["billed_usd"] != "0.00"
    second.receive("pagerduty", event())
    assert [one["triggers"] for one in second.documents("pagerduty", "incident")] == [2, 1]


def test_a_line_that_a_kill_cut_is_dropped_and_the_rest_stays(path: Path, clock: HandClock) -> None:
    first = World(clock=clock, journal=path)
    first.receive("pagerduty", event())
    before = everything(first)
    first.receive("pagerduty", event("inc-2"))
    first.close()
    path.write_bytes(path.read_bytes()[:-20])
    second = World(clock=clock, journal=path)
    assert everything(second) == before
    second.receive("pagerduty", event("inc-2"))
    second.close()
    assert len(World(clock=clock, journal=path).documents("pagerduty", "incident")) == 2


def test_a_journal_that_grew_too_large_is_written_anew_with_the_same_memory(path: Path, clock: HandClock) -> None:
    world = World(clock=clock, journal=path)
    world._journal = Journal(path, most=20_000)
    for _ in range(300):
        world.receive("pagerduty", event())
    before = everything(world)
    size = path.stat().st_size
    world.close()
    one_line = size / RECORDS_MAX
    assert size < 300 * one_line * 2, "about what is remembered, not about what happened"
    assert everything(World(clock=clock, journal=path)) == before


def test_what_is_no_journal_of_a_sandbox_is_refused_by_name(path: Path, clock: HandClock) -> None:
    path.parent.mkdir()
    path.write_text('{"service":"slack","record":{"colour":"red"}}\n')
    with pytest.raises(ConfigError, match=r"sandbox\.jsonl"):
        World(clock=clock, journal=path)


def test_a_running_sandbox_can_be_looked_at_but_not_shared(path: Path, clock: HandClock) -> None:
    running = World(clock=clock, journal=path)
    running.receive("pagerduty", event())
    onlooker = World(clock=clock, journal=path)
    assert onlooker.received("pagerduty").received == 1
    with pytest.raises(ConfigError, match="running"):
        onlooker.own()
    running.receive("pagerduty", event())
    running.close()
    with pytest.raises(ConfigError, match="running"):
        onlooker.own()
    assert World(clock=clock, journal=path).received("pagerduty").received == 2


def test_a_reset_forgets_everything_also_on_disk(path: Path, clock: HandClock) -> None:
    world = World(clock=clock, journal=path)
    world.receive("pagerduty", event())
    world.fault("slack", "500")
    world.reset()
    assert (world.received("pagerduty").received, world.documents("pagerduty", "incident"), world.faults()) == (
        0,
        [],
        {},
    )
    world.close()
    assert World(clock=clock, journal=path).received("pagerduty").received == 0


def test_a_journal_is_for_its_owner_only(path: Path, clock: HandClock) -> None:
    World(clock=clock, journal=path).own()
    assert path.stat().st_mode & 0o777 == 0o600


def test_requests_and_bodies_are_kept_within_bounds(world: World) -> None:
    for number in range(RECORDS_MAX + 50):
        world.receive("anthropic", question("a" * (BODY_KEPT * 2) if number % 50 == 0 else "short"))
    tally = world.received("anthropic")
    assert (tally.received, len(tally.records)) == (RECORDS_MAX + 50, RECORDS_MAX)
    assert max(len(record.body) for record in tally.records) == BODY_KEPT


def test_a_room_keeps_only_so_many_documents_the_newest() -> None:
    room = Room(Terms(), most=3)
    for number in range(10):
        room.put("thing", str(number), {"n": number})
    assert list(room.every("thing")) == ["7", "8", "9"]


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {CANARY}"},
        {"authorization": f"Token token={CANARY}"},
        {"authorization": "Basic dXNlckBleGFtcGxlLmNvbTpjYW5hcnktM2YyZTFkMGM5YjhhN2Y2ZTVkNGMzYjJhMTA="},
        {"x_api_key": CANARY},
        {"dd_api_key": CANARY},
        {"x_apikey": CANARY},
        {"x_sentry_auth": f"Sentry sentry_version=7, sentry_key={CANARY}"},
        {"cookie": f"session={CANARY}"},
        {"x_something_new": CANARY},
    ],
)
def test_no_secret_of_a_header_is_kept_even_if_the_body_repeats_it(
    path: Path, clock: HandClock, name: str, headers: dict[str, str]
) -> None:
    world = World(clock=clock, journal=path)
    repeats = {} if "x_something_new" in headers else {"text": f"my key is {CANARY}"}
    world.receive(name, asked(f"/nowhere/{'' if not repeats else CANARY}", repeats, **headers))
    world.close()
    assert CANARY not in repr(world.received(name).records)
    assert CANARY not in path.read_text()


def test_the_first_sentence_is_of_the_first_accepted_request(world: World) -> None:
    world.receive("pagerduty", asked("/v2/enqueue", {}))
    world.receive("pagerduty", event(summary="first"))
    world.receive("pagerduty", event(summary="second"))
    tally = world.received("pagerduty")
    assert (tally.first_line, tally.last_line, tally.rejected) == ("[critical] first", "[critical] second", 1)


def test_what_came_another_way_is_counted_too(world: World) -> None:
    world.note("prometheus", "a scrape of 40 series")
    assert world.received("prometheus").to_json()["received"] == 1
    with pytest.raises(BadInput):
        world.received("nonsense")


@given(
    st.sampled_from(sorted(SERVICES)),
    st.text(max_size=60),
    st.binary(max_size=300),
    st.sampled_from(["GET", "POST", "PUT"]),
)
def test_no_request_makes_a_service_fail_by_itself(name: str, path: str, body: bytes, method: str) -> None:
    world = World(clock=HandClock())
    headers = {"authorization": "Bearer x", "x-apikey": "x", "dd-api-key": "x", "anthropic-version": "2026-10-21"}
    served = world.receive(name, Asked(method=method, path=f"/{path}", at=NOW, headers=headers, body=body))
    assert 200 <= served.reply.status < 600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = {
    "slack": ["/api/chat.postMessage", "/api/chat.update", "/api/conversations.history", "/services/a/b/c"],
    "teams": ["/workflows/x"],
    "discord": ["/api/webhooks/1/t"],
    "pagerduty": ["/v2/enqueue"],
    "jira": ["/rest/api/3/issue", "/rest/api/3/issue/bulk", "/rest/api/3/search/jql", "/rest/api/3/issue/A-1/comment"],
    "datadog": ["/api/v2/series", "/api/v1/events", "/api/v2/events", "/api/v1/check_run"],
    "splunk": ["/services/collector/event", "/services/collector/ack"],
    "sentry": ["/api/1/envelope/"],
    "anthropic": ["/v1/messages", "/v1/messages/count_tokens"],
    "openai": ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"],
    "twilio": [f"/2010-04-01/Accounts/AC{'a' * 32}/Messages.json"],
}
WORDS = [
    "channel",
    "text",
    "blocks",
    "attachments",
    "type",
    "content",
    "embeds",
    "fields",
    "payload",
    "routing_key",
    "event_action",
    "dedup_key",
    "issueUpdates",
    "project",
    "summary",
    "issuetype",
    "labels",
    "description",
    "priority",
    "jql",
    "maxResults",
    "body",
    "series",
    "metric",
    "points",
    "title",
    "event",
    "time",
    "model",
    "messages",
    "max_tokens",
    "role",
    "output_config",
    "format",
    "schema",
    "tools",
    "tool_choice",
    "input",
    "elements",
    "version",
    "actions",
    "facts",
    "inlines",
    "items",
    "properties",
    "enum",
    "anyOf",
    "$ref",
    "name",
    "data",
    "attributes",
    "checks",
    "response_format",
    "stream",
    "n",
]


@given(st.data())
def test_no_json_makes_a_service_fail_by_itself(data: st.DataObject) -> None:
    """JSON made of the services' own field names reaches deeper than noise does."""
    name = data.draw(st.sampled_from(sorted(PLACES)))
    place = data.draw(st.sampled_from(PLACES[name]))
    value = data.draw(
        st.recursive(
            JSON
            | st.sampled_from(["claude-haiku-5-5", "gpt-6-sol", "user", "message", "text", "json_schema", "trigger"]),
            lambda inner: st.dictionaries(st.sampled_from(WORDS), inner, max_size=5) | st.lists(inner, max_size=3),
            max_leaves=12,
        )
    )
    scheme = {"jira": "Basic eA==", "splunk": "Splunk x", "twilio": "Basic eA=="}.get(name, "Bearer x")
    world = World(clock=HandClock())
    world.receive("jira", asked("/rest/api/3/issue", {"fields": {}}, authorization="Basic eA=="))
    headers = {"authorization": scheme, "dd_api_key": "x", "anthropic_version": "2026-10-21"}
    assert world.receive(name, asked(place, value, **headers)).reply.status >= 200
