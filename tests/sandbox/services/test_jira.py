"""Jira in the sandbox: issues are found again by label, move through their workflow, and a repeat makes a second one."""

from typing import Any

import pytest
from tests.sandbox.places import Client, Contracts, HandClock

from aegis.sandbox.room import Terms
from aegis.sandbox.world import World

pytestmark = pytest.mark.anyio

API = "/jira/rest/api/3"
BASIC = "Basic YUBleGFtcGxlLmNvbTpjYW5hcnktdG9rZW4="


def doc(text: str = "what happened") -> dict[str, Any]:
    return {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def issue(**fields: Any) -> dict[str, Any]:
    return {
        "fields": {
            "project": {"key": "SEC"},
            "issuetype": {"name": "Task"},
            "summary": "data leaves",
            "description": doc(),
            "labels": ["aegis-inc_1"],
            "priority": {"name": "High"},
            **fields,
        }
    }


@pytest.fixture(autouse=True)
def signed_in(client: Client) -> None:
    client.headers["authorization"] = BASIC


async def find(client: Client, jql: str) -> list[str]:
    answer = await client.post(f"{API}/search/jql", {"jql": jql, "fields": ["status"], "maxResults": 5})
    return [one["key"] for one in answer.json["issues"]]


async def test_an_issue_is_found_by_its_label_and_a_repeat_makes_a_second_one(client: Client) -> None:
    first = await client.post(f"{API}/issue", issue())
    assert (first.status, first.json["key"]) == (201, "SEC-1")
    assert await find(client, 'project = SEC AND labels = "aegis-inc_1"') == ["SEC-1"]
    await client.post(f"{API}/issue", issue())
    assert await find(client, 'project = "SEC" AND labels in ("aegis-inc_1") ORDER BY created') == ["SEC-1", "SEC-2"]


async def test_a_transition_moves_the_issue_by_the_id_that_was_listed(client: Client) -> None:
    await client.post(f"{API}/issue", issue())
    listed = (await client.get(f"{API}/issue/SEC-1/transitions")).json["transitions"]
    done = next(one["id"] for one in listed if one["to"]["statusCategory"]["key"] == "done")
    moved = await client.post(f"{API}/issue/SEC-1/transitions", {"transition": {"id": done}})
    again = await client.post(f"{API}/issue/SEC-1/transitions", {"transition": {"id": done}})
    assert (moved.status, moved.body, again.status) == (204, b"", 400)
    shown = (await client.get(f"{API}/issue/SEC-1?fields=status,summary")).json
    assert shown["fields"]["status"]["name"] == "Done"
    assert await find(client, "project = SEC AND statusCategory != Done") == []


async def test_comments_properties_links_and_edits_are_taken(client: Client) -> None:
    await client.post(f"{API}/issue", issue())
    comment = await client.post(f"{API}/issue/SEC-1/comment", {"body": doc("looked at")})
    set_first = await client.ask("PUT", f"{API}/issue/SEC-1/properties/aegis", value={"id": "inc_1"})
    set_again = await client.ask("PUT", f"{API}/issue/SEC-1/properties/aegis", value={"id": "inc_1"})
    held = await client.get(f"{API}/issue/SEC-1/properties/aegis")
    link = {"object": {"url": "https://aegis.example/i", "title": "Aegis"}}
    linked = await client.post(f"{API}/issue/SEC-1/remotelink", link)
    edited = await client.ask("PUT", f"{API}/issue/SEC-1", value={"fields": {"summary": "more data leaves"}})
    assert (comment.status, set_first.status, set_again.status, linked.status, edited.status) == (
        201,
        201,
        200,
        201,
        204,
    )
    assert held.json == {"key": "aegis", "value": {"id": "inc_1"}}
    (kept,) = client.world.documents("jira", "issue")
    assert (kept["comments"], kept["fields"]["summary"]) == (1, "more data leaves")


async def test_a_bulk_creation_makes_the_right_ones_and_names_the_wrong(client: Client, contracts: Contracts) -> None:
    answer = await client.post(f"{API}/issue/bulk", {"issueUpdates": [issue(), issue(summary="")]})
    assert answer.status == 201
    assert (len(answer.json["issues"]), answer.json["errors"][0]["failedElementNumber"]) == (1, 1)
    assert contracts.breaches("jira", "issue_bulk_create.201", answer.json) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"summary": ""}, "summary"),
        ({"summary": "a" * 256}, "summary"),
        ({"summary": "two\nlines"}, "summary"),
        ({"labels": ["two words"]}, "labels"),
        ({"description": "plain"}, "description"),
        ({"description": {"type": "doc", "version": 1, "content": [{"type": "nonsense"}]}}, "description"),
        ({"priority": {"name": "P1"}}, "priority"),
        ({"issuetype": {"name": "Nonsense"}}, "issuetype"),
        ({"project": {"key": "lower"}}, "project"),
        ({"customfield_10000": 1}, "customfield_10000"),
    ],
)
async def test_a_wrong_field_is_refused_by_name(client: Client, fields: dict[str, Any], named: str) -> None:
    answer = await client.post(f"{API}/issue", issue(**fields))
    assert (answer.status, list(answer.json["errors"])) == (400, [named])
    assert client.world.documents("jira", "issue") == []


async def test_answers_keep_the_contract(client: Client, contracts: Contracts) -> None:
    for name, answer in (
        ("issue_create.201", await client.post(f"{API}/issue", issue())),
        ("issue_create.400", await client.post(f"{API}/issue", {"fields": {}})),
        ("issue_create.401", await client.post(f"{API}/issue", issue(), authorization="")),
        ("comment_add.201", await client.post(f"{API}/issue/SEC-1/comment", {"body": doc()})),
        ("transitions_get.200", await client.get(f"{API}/issue/SEC-1/transitions")),
        ("search_jql.200", await client.post(f"{API}/search/jql", {"jql": "project = SEC", "fields": ["*all"]})),
        ("search_jql_get.200", await client.get(f"{API}/search/jql?jql=project%3DSEC&maxResults=1")),
    ):
        assert answer.status == int(name.rpartition(".")[2])
        assert contracts.breaches("jira", name, answer.json) == [], name


async def test_the_removed_search_is_gone_and_unknown_issues_are_missing(client: Client) -> None:
    assert (await client.post(f"{API}/search", {"jql": "project = SEC"})).status == 410
    assert (await client.get(f"{API}/issue/SEC-9")).status == 404


async def test_pages_follow_each_other(client: Client) -> None:
    for _ in range(3):
        await client.post(f"{API}/issue", issue())
    first = (await client.post(f"{API}/search/jql", {"jql": "project = SEC", "maxResults": 2})).json
    token = {"jql": "project = SEC", "maxResults": 2, "nextPageToken": first["nextPageToken"]}
    second = (await client.post(f"{API}/search/jql", token)).json
    assert (len(first["issues"]), first["isLast"], len(second["issues"]), second["isLast"]) == (2, False, 1, True)


class TestLag:
    """A search may find a new issue only later, as the real one does."""

    @pytest.fixture
    def world(self, clock: HandClock) -> World:
        return World(clock=clock, terms=Terms(search_lag_ms=3_000))

    async def test_a_new_issue_is_found_only_after_the_lag(self, client: Client) -> None:
        await client.post(f"{API}/issue", issue())
        assert await find(client, "project = SEC") == []
        client.clock.pass_by(seconds=3)
        assert await find(client, "project = SEC") == ["SEC-1"]
