"""Claims about `aegis doctor`: it answers by looking, and names the next command."""

from pathlib import Path
from typing import Any

import anyio
from tests.cli.outside import outside
from tests.cli.running import Place, data, place
from tests.cli.spending import SETTINGS, spend
from tests.cli.story import with_incident

PAGER = "connectors: {pagerduty: {routing_key: env:KEY}}\n"


def found(here: Place, topic: str, *, bad: bool | None = None) -> list[dict[str, Any]]:
    rows = data(here.run("doctor", "--json"))["findings"]
    return [row for row in rows if row["topic"] == topic and bad in (None, row["bad"])]


def test_before_anything_it_says_that_nothing_runs_and_nobody_can_be_woken(tmp_path: Path) -> None:
    here = place(tmp_path)
    result = here.run("doctor", "--json")
    assert result.exit_code == 3
    document = data(result)
    assert (document["schema"], document["ok"]) == ("aegis.doctor/1", False)
    wrong = {row["topic"]: row["next"] for row in document["findings"] if row["bad"]}
    assert wrong == {"metrics": "aegis up", "pages": "aegis escalate simulate"}
    assert not here.home.exists(), "it changes nothing"


def test_too_many_calls_are_shown_by_what_they_were_for(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS)
    for severity in ("LOW", "HIGH"):
        scope = {"purpose": "incident", "severity": severity}
        anyio.run(lambda scope=scope: spend(here, 1, 1, scope=scope, prefix=scope["severity"]))  # type: ignore[misc]
    texts = [row["text"] for row in found(here, "model calls", bad=True)]
    assert texts[0].startswith("2 calls in 24 h were made for LOW or MEDIUM")
    assert texts[1].startswith("4 calls in 24 h for 0 HIGH or CRITICAL incidents")


def test_a_cache_that_is_off_is_named(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write("services: {anthropic: {cache: off}}\n")
    assert "the cache is off" in found(here, "model calls", bad=True)[0]["text"]


def test_a_key_that_is_missing_and_a_budget_that_is_used_up_are_why_calls_fail(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.write(SETTINGS + PAGER)
    anyio.run(lambda: spend(here, 10, 5))
    texts = [row["text"] for row in found(here, "failing calls", bad=True)]
    assert any(text.startswith("connectors.pagerduty.routing_key") for text in texts)
    assert any(text.startswith("anthropic: 1 calls refused by budget") for text in texts)


def test_a_stop_is_why_calls_fail(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run("stop", "--all", "--reason", "stolen key")
    result = here.run("doctor", "--json")
    assert any("stolen key" in row["text"] for row in data(result)["findings"] if row["bad"])


def test_a_page_that_a_silence_holds_back_is_explained(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.run("silence", "add", "severity=*", "--for", "2h", "--reason", "deploy", "--owner", "ops")
    known = with_incident(here)
    texts = [row["text"] for row in found(here, "pages")]
    assert any(text.startswith(f"{known} (HIGH) is held back by silence") for text in texts)


def test_a_delivery_that_failed_for_good_is_named_with_its_error(tmp_path: Path) -> None:
    here = place(tmp_path)
    with outside() as there:
        there.configure(here)
        there.fault("pagerduty", "401")
        with_incident(here)
        rows = found(here, "deliveries", bad=True)
    assert rows
    assert "not delivered, last: pagerduty: answered 401" in rows[0]["text"]
    assert rows[0]["next"] == "aegis outbox list"
