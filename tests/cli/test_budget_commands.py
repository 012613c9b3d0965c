"""Claims about `aegis budget`, `aegis explain`, `aegis stop` and `aegis resume`."""

from pathlib import Path

import anyio
import pytest
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend


@pytest.fixture
def here(tmp_path: Path) -> Place:
    found = place(tmp_path)
    found.write(SETTINGS)
    return found


def _levels(here: Place) -> list[str]:
    rows = data(here.run("budget", "list", "--json"))["budgets"]
    return [row["limit"] for row in rows if row["name"] == "everything"]


@pytest.mark.parametrize(("cents", "code"), [(4, 0), (5, 10), (8, 11), (10, 12)])
def test_the_exit_code_of_a_check_is_the_worst_level(here: Place, cents: int, code: int) -> None:
    anyio.run(spend, here, cents)

    assert here.run("budget", "check").exit_code == code
    assert data(here.run("budget", "check", "--json"))["exit"] == code


def test_a_check_tells_that_everything_is_stopped(here: Place) -> None:
    anyio.run(spend, here, 1)
    assert here.run("stop", "--scope", "key=red", "--reason", "stolen").exit_code == 0
    assert here.run("budget", "check").exit_code == 0, "one scope is not everything"
    assert here.run("stop", "--all", "--reason", "fire drill").exit_code == 0
    result = here.run("budget", "check", "--json")
    assert (result.exit_code, data(result)["exit"]) == (12, 12)
    assert data(result)["crossed"][0].startswith("everything is stopped: fire drill")


def test_a_limit_set_below_what_is_spent_is_an_emergency_at_once(here: Place) -> None:
    anyio.run(spend, here, 4)
    result = here.run("budget", "set", "everything", "daily", "emergency", "0.03", "--json")

    assert data(result)["levels"] == {"warning": "0.03", "critical": "0.03", "emergency": "0.03"}
    assert here.run("budget", "check").exit_code == 12
    assert _levels(here) == ["$0.03"]


def test_what_a_person_set_is_on_record_and_the_file_stays_as_it_is(here: Place) -> None:
    here.run("budget", "set", "everything", "daily", "emergency", "$4")
    here.run("budget", "set", "everything", "daily", "emergency", "default")
    words = data(here.run("budget", "overrides", "--json"))["overrides"]

    assert [(word["level"], word["amount"]) for word in words] == [("emergency", "4.00"), ("emergency", None)]
    assert all(word["by"] and word["at"] for word in words)
    assert (here.folder / "aegis.yaml").read_text() == SETTINGS
    assert _levels(here) == ["$0.10"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing", "daily", "emergency", "1"], 4, "there is no budget nothing"),
        (["everything", "weekly", "warning", "1"], 4, "has no week window"),
        (["everything", "daily", "warning", "1"], 2, "must not be above emergency"),
        (["everything", "daily", "critical", "0.01"], 2, "warning must not be above critical"),
        (["everything", "daily", "emergency", "-1"], 2, "must be an amount such as 5.00"),
        (["everything", "daily", "emergency", "1e99"], 2, "must be an amount such as 5.00"),
        (["everything", "yearly", "emergency", "1"], 2, "'daily'"),
    ],
)
def test_an_amount_that_cannot_be_is_refused_and_changes_nothing(
    here: Place, words: list[str], code: int, said: str
) -> None:
    here.run("budget", "set", "everything", "daily", "critical", "0.08")
    result = here.run("budget", "set", *(["--", *words] if "-1" in words else words))

    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert len(data(here.run("budget", "overrides", "--json"))["overrides"]) == 1


def test_a_new_window_begins_with_its_limit(here: Place) -> None:
    assert here.run("budget", "set", "everything", "weekly", "emergency", "1.50").exit_code == 0

    assert _levels(here) == ["$0.10", "$1.50"]


def test_a_refusal_names_gate_line_and_figures(here: Place) -> None:
    anyio.run(spend, here, 6, 7)
    refused = data(here.run("budget", "explain", "call-2", "--json"))["attempts"][0]

    assert (refused["state"], refused["gate"], refused["cost_usd"]) == ("refused", "budget", "0.00")
    line = refused["lines"][0]
    assert line["line"] == "everything (day)"
    figures = {name: line[name] for name in ("limit", "settled", "held", "need")}
    assert figures == {"limit": 100_000_000, "settled": 60_000_000, "held": 0, "need": 70_000_000}
    assert line["resets_at"].endswith("Z")


def test_an_admission_names_every_line_that_it_held(here: Place) -> None:
    anyio.run(spend, here, 6)
    told = here.run("explain", "call-1")

    assert told.exit_code == 0
    assert "anthropic m messages: settled, held 0.06 USD, cost 0.06 USD" in told.stdout
    assert "limit 0.10, settled 0.06, held 0.00, need 0.06; resets" in told.stdout


def test_the_newest_attempts_are_listed_with_what_refused_them(here: Place) -> None:
    anyio.run(spend, here, 6, 7)
    rows = data(here.run("explain", "--json"))["attempts"]

    assert {(row["call"], row["state"], row["gate"]) for row in rows} == {
        ("call-1", "settled", ""), ("call-2", "refused", "budget"),
    }  # fmt: skip
    assert "refused by budget" in here.run("explain").stdout


def test_a_call_that_nobody_made_is_not_found(here: Place) -> None:
    anyio.run(spend, here, 1)

    assert here.run("explain", "call-9").exit_code == 4


def test_a_stop_refuses_its_scope_until_it_is_resumed(here: Place) -> None:
    assert here.run("stop", "--scope", "key=red", "--reason", "stolen").exit_code == 0
    assert [row["scope"] for row in data(here.run("stop", "--json"))["stopped"]] == [{"key": "red"}]

    anyio.run(spend, here, 1)
    with pytest.raises(Exception, match=r"key red is stopped: stolen \("):
        anyio.run(_spend_as, here, "red")
    assert here.run("resume", "--scope", "key=red").exit_code == 0
    anyio.run(_spend_as, here, "red")
    assert data(here.run("stop", "--json"))["stopped"] == []


async def _spend_as(here: Place, key: str) -> None:
    await spend(here, 1, scope={"key": key}, prefix="second")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["stop", "--all"], 2),
        (["stop", "--scope", "colour=red", "--reason", "x"], 2),
        (["stop", "--scope", "key=", "--reason", "x"], 2),
        (["stop", "--all", "--scope", "key=a", "--reason", "x"], 2),
        (["resume"], 2),
        (["resume", "--scope", "key=never"], 4),
    ],
)
def test_a_stop_needs_a_scope_and_a_reason(here: Place, words: list[str], code: int) -> None:
    result = here.run(*words)

    assert result.exit_code == code, result.stderr


def test_resume_all_turns_every_switch_back(here: Place) -> None:
    here.run("stop", "--all", "--reason", "fire")
    here.run("stop", "--scope", "service=openai", "--reason", "fire")

    assert data(here.run("resume", "--all", "--json"))["stopped"] == []
