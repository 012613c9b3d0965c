"""Claims about `aegis report incident` and `aegis report write`."""

import re
import shlex
from pathlib import Path

import orjson
import pytest
from tests.cli.running import data, place
from tests.cli.story import with_incident

from aegis.incidents.report import TO_FILL

PAGE = (Path(__file__).parents[2] / "docs" / "incident-report.md").read_text(encoding="utf-8")
BEGIN = "<!-- aegis:begin {} -->\n"


def test_a_file_that_is_no_report_of_ours_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path)
    known = with_incident(here)
    for name in ("report.md", "report.html", "report.json"):
        out = tmp_path / name
        out.write_text("what a person wrote")
        refused = here.run("report", "incident", known, "--out", str(out))
        assert (refused.exit_code, out.read_text()) == (2, "what a person wrote")


def test_what_people_wrote_into_the_file_is_kept_and_stands_in_every_form(tmp_path: Path) -> None:
    here, out = place(tmp_path), tmp_path / "report.md"
    known = with_incident(here)
    assert here.run("report", "incident", known, "--out", str(out)).exit_code == 0
    text = out.read_text()
    assert known in text
    begin = BEGIN.format("root-cause")
    text = text.replace(begin + TO_FILL, begin + "A trail was stopped by a <b>person</b>.\n\n- who was let go")
    out.write_text(text.replace("# Incident report:", "Seen by Ana.\n\n# Incident report:"))

    for time in range(2):
        again = here.run("report", "incident", known, "--out", str(out))
        assert again.exit_code == 0, again.output
        assert ("Root Cause Analysis: taken over" in again.stderr) is (time == 0)
        assert ("1 lines outside of the marked sections" in again.stderr) is (time == 0)
        kept = out.read_text()
        assert f"{begin}A trail was stopped by a <b>person</b>.\n\n- who was let go\n<!--" in kept
        assert "## Written by Hand Elsewhere" in kept
        assert kept.count("Seen by Ana.") == 1
        assert kept.count(TO_FILL) == 2
    document = data(here.run("report", "incident", known, "--format", "json"))
    assert document["sections"]["root-cause"].endswith("- who was let go")
    page = here.run("report", "incident", known, "--format", "html").stdout
    assert "stopped by a &lt;b&gt;person&lt;/b&gt;." in page


def test_what_is_written_by_command_and_in_the_file_at_once_is_both_kept(tmp_path: Path) -> None:
    here, out = place(tmp_path), tmp_path / "report.md"
    known = with_incident(here)
    here.run("report", "incident", known, "--out", str(out))
    begin = BEGIN.format("lessons")
    out.write_text(out.read_text().replace(begin + TO_FILL, begin + "From the file."))
    written = here.run("report", "write", known, "lessons", "--json", stdin="From a command.\n")
    assert data(written)["text"] == "From a command."

    assert here.run("report", "incident", known, "--out", str(out)).exit_code == 0
    for words in ("From the file.", "From a command."):
        assert out.read_text().count(words) == 1, words
    here.run("report", "write", known, "lessons", "Only this.")
    here.run("report", "incident", known, "--out", str(out))
    assert "From the file." not in out.read_text(), "a command replaces what stood there"


@pytest.mark.parametrize("name", ["r.html", "r.json"])
def test_a_page_that_was_changed_by_hand_is_left_alone_and_one_that_was_not_is_written_anew(
    tmp_path: Path, name: str
) -> None:
    here, out = place(tmp_path), tmp_path / name
    known = with_incident(here)
    for _ in range(2):
        assert here.run("report", "incident", known, "--out", str(out)).exit_code == 0
    changed = out.read_text().replace("Timeline", "Time line").replace('"follow_up"', '"followed_up"')
    out.write_text(changed)
    refused = here.run("report", "incident", known, "--out", str(out))
    assert (refused.exit_code, out.read_text()) == (2, changed)
    assert "aegis report write" in refused.stderr


def test_the_document_is_one_object_of_its_schema(tmp_path: Path) -> None:
    here, out = place(tmp_path), tmp_path / "r.json"
    known = with_incident(here)
    here.run("report", "incident", known, "--out", str(out))
    document = orjson.loads(out.read_bytes())
    assert next(iter(document)) == "schema"
    assert (document["schema"], document["incident"]["id"]) == ("aegis.incident-report/1", known)
    assert document["spend"]["about"] == "the analysis of this incident"


def test_without_the_incident_nothing_is_written(tmp_path: Path) -> None:
    here = place(tmp_path)
    with_incident(here)

    assert here.run("report", "incident", "inc_none", "--out", str(tmp_path / "r.md")).exit_code == 4
    assert here.run("report", "write", "inc_none", "lessons", "x").exit_code == 4
    assert not (tmp_path / "r.md").exists()


def test_every_command_that_the_page_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = place(tmp_path)
    known = with_incident(here)
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^\$ aegis (.+)$", PAGE, re.MULTILINE)
    assert len(shown) >= 6
    for line in shown:
        result = here.run(*shlex.split(line.replace("INCIDENT", known)))
        assert result.exit_code == 0, (line, result.output)
    assert "A loop in the importer." in (tmp_path / "report.md").read_text()
