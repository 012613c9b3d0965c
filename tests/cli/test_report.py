"""Claims about `aegis report`."""

from pathlib import Path

from tests.cli.running import place
from tests.cli.story import with_incident


def test_the_report_is_written_once_and_never_over_what_is_there(tmp_path: Path) -> None:
    here = place(tmp_path)
    known, out = with_incident(here), tmp_path / "report.md"

    first = here.run("report", "incident", known, "--out", str(out))
    assert first.exit_code == 0
    assert out.read_text() == here.run("report", "incident", known).stdout.removesuffix("\n")
    assert known in out.read_text()

    out.write_text("what a person wrote")
    second = here.run("report", "incident", known, "--out", str(out))
    assert second.exit_code == 2
    assert out.read_text() == "what a person wrote"


def test_without_the_incident_nothing_is_written(tmp_path: Path) -> None:
    here = place(tmp_path)
    with_incident(here)

    assert here.run("report", "incident", "inc_none", "--out", str(tmp_path / "r.md")).exit_code == 4
    assert not (tmp_path / "r.md").exists()
