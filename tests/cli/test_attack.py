"""Claims about `aegis attack update`: a small bundle of our own becomes the catalogue, a wrong one changes nothing."""

import json
from pathlib import Path

import pytest
from tests.cli.running import data, place
from tests.cli.story import with_incident

TECHNIQUE = {
    "type": "attack-pattern",
    "id": "attack-pattern--1",
    "name": "Disable or Modify Cloud Logs",
    "description": "The record of what is done is switched off.",
    "external_references": [{"source_name": "mitre-attack", "external_id": "T1562.008"}],
    "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "defense-evasion"}],
    "x_mitre_detection": "Watch for calls that stop a trail.",
}
MITIGATION = {
    "type": "course-of-action",
    "id": "course-of-action--1",
    "name": "Restrict who may stop the trail",
    "description": "Only the log account may change trails.",
    "external_references": [{"source_name": "mitre-attack", "external_id": "M1018"}],
}
MITIGATES = {
    "type": "relationship",
    "id": "relationship--1",
    "relationship_type": "mitigates",
    "source_ref": "course-of-action--1",
    "target_ref": "attack-pattern--1",
    "description": "Deny the call by policy.",
}
BUNDLE = {"type": "bundle", "id": "bundle--1", "objects": [TECHNIQUE, MITIGATION, MITIGATES]}


def test_a_bundle_becomes_the_catalogue_and_its_advice_reaches_the_incident(tmp_path: Path) -> None:
    here = place(tmp_path)
    (here.folder / "bundle.json").write_text(json.dumps(BUNDLE))

    result = here.run("attack", "update", str(here.folder / "bundle.json"))

    assert result.exit_code == 0
    assert "1 techniques are known now" in result.stderr
    shown = json.dumps(data(here.run("incident", "show", with_incident(here), "--json")))
    assert "Watch for calls that stop a trail" in shown


@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"[]", b"\xff\xfe", b"not json", b"[" * 5_000, b"{}"),
        b'{"type": "bundle", "objects": []}',
        b'{"type": "bundle", "objects": {"a": 1}}',
        b'{"type": "bundle", "objects": [5, null, "x", []]}',
        b'{"type": "bundle", "objects": [{"type": "attack-pattern"}]}',
    ],
)
def test_what_is_no_bundle_is_refused_and_the_catalogue_stays(tmp_path: Path, content: bytes) -> None:
    here = place(tmp_path)
    (here.folder / "bundle.json").write_text(json.dumps(BUNDLE))
    here.run("attack", "update", str(here.folder / "bundle.json"))
    before = (here.home / "attack.json").read_bytes()
    (here.folder / "wrong.json").write_bytes(content)

    result = here.run("attack", "update", str(here.folder / "wrong.json"))

    assert result.exit_code in (2, 6)
    assert "Traceback" not in result.output
    assert (here.home / "attack.json").read_bytes() == before


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = place(tmp_path).run("attack", "update", "/nowhere/bundle.json")

    assert result.exit_code == 2
    assert "/nowhere/bundle.json" in result.stderr


def test_a_catalogue_is_never_fetched_without_tls(tmp_path: Path) -> None:
    result = place(tmp_path).run("attack", "update", "http://198.51.100.7/attack")

    assert result.exit_code in (2, 3, 6)
    assert "https" in result.stderr
