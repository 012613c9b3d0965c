"""Every command that README and docs show is run: by the page's own test, by this one, or it says why it cannot be."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.doc_commands import REFERENCE, ROOT, mentioned, pages, shown, words_of, wrong
from tests.cli.outside import outside
from tests.cli.running import Place, data, place
from tests.cli.story import with_incident

OWN_TESTS = {
    "docs/accounts.md": "tests/cli/test_accounts_docs.py",
    "docs/audit.md": "tests/cli/test_backup_docs.py",
    "docs/backup.md": "tests/cli/test_backup_docs.py",
    "docs/budgets.md": "tests/cli/test_budget_docs.py",
    "docs/connectors/aws.md": "tests/cli/test_aws_docs.py",
    "docs/costs.md": "tests/cli/test_costs_docs.py",
    "docs/emergency.md": "tests/cli/test_emergency_docs.py",
    "docs/escalation.md": "tests/cli/test_people_docs.py",
    "docs/exports.md": "tests/cli/test_exports_docs.py",
    "docs/forecast.md": "tests/cli/test_forecast_docs.py",
    "docs/governor.md": "tests/governor/test_docs.py",
    "docs/incident-report.md": "tests/cli/test_report.py",
    "docs/monitoring.md": "tests/cli/test_monitoring_docs.py",
    "docs/reconcile.md": "tests/cli/test_reconcile_docs.py",
    "docs/silences.md": "tests/cli/test_people_docs.py",
    "docs/simulate.md": "tests/cli/test_simulate_docs.py",
    "docs/detection.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/aegis-down.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/alert-flood.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/budget-emergency.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/false-positives.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/key-rotation.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/pages-missing.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/provider-outage.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/restore.md": "tests/cli/test_guides_docs.py",
    "docs/runbooks/stolen-key.md": "tests/cli/test_guides_docs.py",
    "docs/service.md": "tests/cli/test_guides_docs.py",
    "docs/start.md": "tests/cli/test_guides_docs.py",
}
"""Pages whose own test runs every `$ aegis` line of theirs; of others the test is found by the page's name in it."""
ELSEWHERE = {
    "aegis up": "tests/cli/test_up.py",
    "aegis config reload": "tests/cli/test_reload.py",
    **{
        f"aegis drill {kind}": "tests/rehearsal/test_drills.py"
        for kind in ("budget", "provider-outage", "alert-flood", "injection", "restore", "all --fast")
    },
}
"""Commands that serve until they are ended, need one that does, or take many seconds (these are run here with `--long`),
and the test that does the same."""
LINES = re.compile(r"\\\$ aegis \(\.\+\)")
"""How the tests of pages find the commands: lines that begin with the prompt."""


@contextmanager
def deliveries(here: Place) -> Iterator[Callable[[list[str]], list[str]]]:
    """There are dead letters: PagerDuty refuses our key."""
    with outside() as services:
        services.configure(here)
        services.fault("pagerduty", "401")
        with_incident(here)

        def ready(words: list[str]) -> list[str]:
            if words[1] == "list":
                return words
            with_incident(here)  # what was replayed is sent again, and refused again
            dead = data(here.run("outbox", "list", "--json"))["dead"][0]["id"]
            there = {"inc_01J...:slack:1": dead, "splunk": "pagerduty"}
            return [there.get(word, word) for word in words]

        yield ready


@contextmanager
def drills(here: Place) -> Iterator[Callable[[list[str]], list[str]]]:
    """A report is there, and somebody who may own a review."""
    here.write("contacts: {grace: {email: grace@example.com}}\n")
    kept = here.home / "drills"
    kept.mkdir(parents=True, mode=0o700)
    here.home.chmod(0o700)
    for ending in ("md", "json"):
        report = (ROOT / "docs" / "drills" / f"budget.{ending}").read_bytes()
        (kept / f"20261121T120000Z-budget.{ending}").write_bytes(report)
    yield lambda words: words


@contextmanager
def gateway(here: Place) -> Iterator[Callable[[list[str]], list[str]]]:
    """The key that is made first is made again further down: another page of the same book."""
    made: list[str] = []

    def ready(words: list[str]) -> list[str]:
        if words[:2] == ["key", "create"]:
            made.append(f"ci-bot-{len(made)}" if made else "ci-bot")
            return [made[-1] if word == "ci-bot" else word for word in words]
        return words

    yield ready


@contextmanager
def inbound(here: Place) -> Iterator[Callable[[list[str]], list[str]]]:
    """The configuration of the page; where its secrets are is the environment."""
    configuration = re.findall(r"```yaml\n(.+?)```", pages()["docs/inbound.md"], re.DOTALL)[0]
    here.write(re.sub(r"\b(env|file|keyring):[^\s,}]+", "env:HOOK", configuration))
    here.env["HOOK"] = "whsec_c2hhcmVkLXNlY3JldC1vZi10aGUtdGVzdA=="
    yield lambda words: words


PREPARED = {
    "docs/delivery.md": deliveries,
    "docs/drills.md": drills,
    "docs/gateway.md": gateway,
    "docs/inbound.md": inbound,
}
"""Pages whose commands are run here, each in the place that it speaks of."""


def _own_test(page: str) -> str:
    """The test that runs a page, by its path; empty when there is none."""
    if page in OWN_TESTS or page in PREPARED:
        return OWN_TESTS.get(page, "")
    tests = sorted((ROOT / "tests").rglob("test_*_docs.py"))
    return next((file.relative_to(ROOT).as_posix() for file in tests if _runs(file, Path(page))), "")


def _runs(test: Path, page: Path) -> bool:
    """Whether a test looks for lines with commands, of this page."""
    text = test.read_text(encoding="utf-8")
    return bool(LINES.search(text)) and (page.name in text or f'"{page.stem}"' in text)


def _elsewhere(words: list[str], *, long: bool) -> bool:
    return f"aegis {' '.join(words)}" in ELSEWHERE and not (long and words[0] == "drill")


def test_every_page_with_commands_has_them_run() -> None:
    with_commands = {page for page in pages() if shown(page) and not page.startswith(REFERENCE)}
    alone = {page for page in with_commands - PREPARED.keys() if not _own_test(page)}

    assert not alone, "give each a test of its own, or a place in this one"
    assert OWN_TESTS.keys() | PREPARED.keys() <= with_commands, "nobody looks for commands that are shown no more"


@pytest.mark.parametrize("page", [page for page in pages() if shown(page) and not page.startswith(REFERENCE)])
def test_every_line_with_a_command_begins_with_the_prompt(page: str) -> None:
    assert [line for line in shown(page) if not line.startswith("$ aegis ")] == []


@pytest.mark.parametrize("page", [page for page in pages() if shown(page) and _own_test(page)])
def test_the_own_test_of_a_page_runs_what_it_shows(page: str) -> None:
    assert _runs(ROOT / _own_test(page), Path(page))


@pytest.mark.parametrize("page", PREPARED)
def test_every_command_that_is_shown_runs(tmp_path: Path, page: str, *, long: bool) -> None:
    here = place(tmp_path)
    ran = 0
    with PREPARED[page](here) as ready:
        for line in shown(page):
            if _elsewhere(words_of(line), long=long):
                continue
            result = here.run(*ready(words_of(line)))
            # A drill on a machine that is busy misses a target and says so.
            slow = {10} if words_of(line)[0] == "drill" else set()
            assert result.exit_code in {0} | slow, (line, result.output)
            ran += 1
    assert ran


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_run_here_is_shown_and_run_where_it_says(command: str) -> None:
    assert any(words_of(line) == command.split()[1:] for page in PREPARED for line in shown(page)), "shown"
    text = (ROOT / ELSEWHERE[command]).read_text(encoding="utf-8")
    verb = command.split()[1]
    assert re.search(rf'"{verb}"|{verb}s?\b', text)


@pytest.mark.parametrize("page", [page for page in pages() if shown(page) or mentioned(page)])
def test_every_command_that_is_named_is_there_with_its_options(page: str) -> None:
    named = [words_of(line) for line in shown(page)] + [words_of(f"aegis {text}") for text in mentioned(page)]

    assert [f"aegis {' '.join(words)}: {why}" for words in named if (why := wrong(words))] == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert wrong(["budget", "lst"]) == "there is no `lst` below `budget`"
    assert wrong(["budget", "list", "--jsn"]) == "`list` has no --jsn"
    assert wrong(["aws", "budgets", "plan|aply"]) == "there is no `aply` below `budgets`"


def test_every_command_of_dev_py_that_is_shown_is_there() -> None:
    table = (ROOT / "dev.py").read_text(encoding="utf-8").partition("COMMANDS = {")[2].partition("}")[0]
    there = set(re.findall(r'"([a-z]+)":', table))
    named = {name for text in pages().values() for name in re.findall(r"\bdev\.py ([a-z]+)", text)}

    assert named <= there
    assert {"demo", "test"} <= named
