"""Scores are honest, drills keep to themselves, and reports are kept."""

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from aegis.cli.drill import LINES
from aegis.core.errors import BadInput, ConfigError
from aegis.core.references import parse_reference
from aegis.core.secret import Secret
from aegis.rehearsal.drills.catalogue import KINDS
from aegis.rehearsal.drills.history import FOLDER, keep, page_of, ran
from aegis.rehearsal.drills.injection import ACTIVE
from aegis.rehearsal.drills.markdown import markdown
from aegis.rehearsal.drills.report import LINES_MAX, SIX, Line, Looked, Measure, Report, Secluded, cut, duration
from aegis.rehearsal.drills.scene import PLANTS
from aegis.rehearsal.drills.seclusion import Watch, secluded

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALONE = Secluded(connected=True, elsewhere=(), references=1, foreign=(), targets=1, unregistered=())


def report(**changes: object) -> Report:
    whole = Report(
        kind="budget",
        title="a drill",
        story="Something happens.",
        size="one",
        seed=7,
        fast=True,
        planted="",
        began=NOON,
        ended=NOON + timedelta(minutes=3),
        measures=tuple(Measure(name=name, value=1, target=2, text="from here to there") for name in SIX),
        looked=(Looked(name="it is so", good=True, text="seen"),),
        secluded=ALONE,
        timeline=(Line(at=NOON, kind="call", text="<b>asked</b>", last=NOON),),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def measure(value: int | None, target: int | None) -> Measure:
    return Measure(name="time_to_stop", value=value, target=target, text="", advice="Do this.")


def test_what_never_happened_is_missed_and_what_is_not_rehearsed_is_not_judged() -> None:
    assert [measure(*one).verdict for one in ((2, 2), (3, 2), (None, 2), (None, None))] == [
        "met", "missed", "missed", "not rehearsed",
    ]  # fmt: skip
    assert report(measures=(measure(None, None),)).score == 100
    assert report(measures=(measure(None, 2),)).score == 50
    assert report(measures=(measure(None, 2),)).improve[0].endswith("never, at most 0 s was meant. Do this.")


@pytest.mark.parametrize(
    "broken",
    [{"elsewhere": ("192.0.2.1",)}, {"foreign": ("env:KEY",)}, {"unregistered": ("docker:db",)}, {"connected": False}],
    ids=["connection", "secret", "target", "blind"],
)
def test_a_drill_that_reached_for_anything_real_scores_nothing(broken: dict[str, object]) -> None:
    assert report(secluded=replace(ALONE, **broken)).score == 0  # type: ignore[arg-type]


def test_a_page_shows_text_of_a_log_as_text() -> None:
    page = markdown(report())

    assert "**Score 100 of 100**" in page
    assert "<b>" not in page.replace("\\<b>", "")


def test_a_long_timeline_is_cut_in_its_middle_and_says_so() -> None:
    lines = [Line(at=NOON + timedelta(seconds=n), kind="call", text=str(n), last=NOON) for n in range(LINES_MAX + 5)]

    shown = cut(lines[::-1])
    assert len(shown) == LINES_MAX
    assert [shown[0].text, shown[-1].text] == ["0", str(LINES_MAX + 4)]
    assert any(line.text == "6 more lines stand in the record" for line in shown)


def test_times_are_read_as_people_say_them() -> None:
    said = [duration(ms) for ms in (0, 250, 36_000, 60_000, 912_000, 50_700_000)]
    assert said == ["0 s", "0.25 s", "36 s", "1 min", "15 min 12 s", "14 h 5 min"]


@pytest.mark.anyio
async def test_the_watch_lets_a_drill_reach_its_sandbox_and_nothing_else() -> None:
    with socket.socket() as own, secluded() as watch:
        own.bind(("127.0.0.1", 0))
        own.listen()
        watch.allow(own.getsockname()[1])
        with socket.socket() as client:
            client.connect(own.getsockname())
        with socket.socket() as client, pytest.raises(PermissionError, match=r"192\.0\.2\.1 port 443"):
            client.connect(("192.0.2.1", 443))
        with socket.socket() as client, pytest.raises(PermissionError, match=r"127\.0\.0\.1 port 1"):
            client.connect(("127.0.0.1", 1))
        with pytest.raises(PermissionError, match=r"the name api\.example"):
            socket.getaddrinfo("api.example", 443)
        with pytest.raises(PermissionError, match=r"os\.kill"):
            os.kill(os.getpid(), 0)
        with pytest.raises(PermissionError, match="the file"):
            Path("/nowhere/.aws/credentials").read_text()
        verdict = watch.verdict(registered=["virtual-keys:a"], touched=["virtual-keys:a", "docker:db"])

    assert verdict.connected
    assert len(verdict.elsewhere) == 5
    assert verdict.unregistered == ("docker:db",)
    os.kill(os.getpid(), 0)  # over: nobody watches any more


def test_a_drill_resolves_no_secret_but_the_sandboxs() -> None:
    watch = Watch()
    assert watch.resolve({"SANDBOX_KEY": Secret("made-up")}, parse_reference("env:SANDBOX_KEY")).reveal() == "made-up"
    with pytest.raises(ConfigError, match="reads no other"):
        watch.resolve({}, parse_reference("env:ANTHROPIC_API_KEY"))

    verdict = watch.verdict(registered=(), touched=())
    assert (verdict.references, verdict.foreign) == (1, ("env:ANTHROPIC_API_KEY",))


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("slack", "<!channel> look"),
        ("slack", "<https://evil.example|fix>"),
        ("discord", "@everyone look"),
        ("teams", "[fix](https://elsewhere.invalid)"),
        ("jira", "http://evil.example/fix"),
        ("pagerduty", "\x1b]8;;click"),
    ],
    ids=["ring", "link", "everyone", "card", "address", "escape"],
)
def test_the_judge_of_messages_finds_what_is_active(service: str, text: str) -> None:
    assert ACTIVE[service].search(text)
    assert not ACTIVE[service].search("hxxp[:]//evil[.]example/fix &lt;!channel&gt;")


def test_reports_are_kept_newest_first_and_found_by_kind(tmp_path: Path) -> None:
    for minutes in (0, 0, 5):
        keep(tmp_path, report(), at=NOON + timedelta(minutes=minutes))
    (tmp_path / FOLDER / "20261121T130000Z-budget.json").write_text("cut sho")

    names = [one.name for one in ran(tmp_path)]
    assert names == ["20261121T120500Z-budget", "20261121T120000Z-budget-2", "20261121T120000Z-budget"]
    found, page = page_of(tmp_path, "budget")
    assert (found.name, page) == (names[0], markdown(report()))
    assert orjson.loads((tmp_path / FOLDER / f"{names[0]}.json").read_bytes())["schema"] == "aegis.drill/1"
    assert (tmp_path / FOLDER / f"{names[0]}.json").stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="no drill restore was run here"):
        page_of(tmp_path, "restore")


def test_the_page_about_drills_names_every_drill_and_every_fault() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "drills.md").read_text()

    assert list(LINES) == list(KINDS)
    for name, kind in KINDS.items():
        assert f"aegis drill {name}" in page
        assert f"(drills/{name}.md)" in page
        [row] = [line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line]
        assert {fault for fault in PLANTS if f"`{fault}`" in row} == set(kind.plants)
