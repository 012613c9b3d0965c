"""Claims about the ATT&CK catalogue: how a bundle is read, kept and asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.connectors.stories import NOW, FixedClock, ScriptedHttp, answer, new_id

from aegis.connectors.attack import Attack, Catalogue, Config, Entry, build, fetch, parse_stix
from aegis.core.errors import BadInput, ConfigError, ServiceError
from aegis.core.incidents import Observable, Verdict
from aegis.core.techniques import TECHNIQUES

pytestmark = pytest.mark.anyio


def pattern(number: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "attack-pattern",
        "id": f"attack-pattern--{number}",
        "name": name,
        "external_references": [
            {"source_name": "capec", "external_id": "CAPEC-1"},
            {"source_name": "mitre-attack", "external_id": number},
        ],
        "kill_chain_phases": [
            {"kill_chain_name": "mitre-attack", "phase_name": "credential-access"},
            {"kill_chain_name": "other", "phase_name": "x"},
        ],
        "x_mitre_platforms": ["Linux", "Windows"],
        **more,
    }


def relation(kind: str, source: str, target: str, text: str = "", **more: Any) -> dict[str, Any]:
    made = {"type": "relationship", "id": f"relationship--{kind}{source}{target}", "relationship_type": kind}
    return {**made, "source_ref": source, "target_ref": target, "description": text, **more}


def bundle(*objects: dict[str, Any]) -> dict[str, Any]:
    tactic = {
        "type": "x-mitre-tactic",
        "id": "t--1",
        "name": "Credential Access",
        "x_mitre_shortname": "credential-access",
    }
    release = {"type": "x-mitre-collection", "id": "c--1", "name": "Our own small one", "x_mitre_version": "1.0"}
    return {"type": "bundle", "id": "bundle--1", "objects": [tactic, release, *objects]}


OLDER = bundle(
    pattern(
        "T1110",
        "Guessing",
        description="Tries [many](https://x.example) passwords.(Citation: Nobody 2020) <code>su</code>",
        x_mitre_detection="Count failures per source.",
        x_mitre_data_sources=["User Account: User Account Authentication"],
    ),
    pattern("T1110.001", "Password Guessing", x_mitre_is_subtechnique=True),
    relation("subtechnique-of", "attack-pattern--T1110.001", "attack-pattern--T1110"),
    {"type": "course-of-action", "id": "coa--1", "name": "Account Use Policies"},
    relation("mitigates", "coa--1", "attack-pattern--T1110", "Lock accounts after ten failures."),
    {"type": "course-of-action", "id": "coa--2", "name": "Gone", "x_mitre_deprecated": True},
    relation("mitigates", "coa--2", "attack-pattern--T1110", "Old."),
    {"type": "x-mitre-data-component", "id": "dc--1", "name": "User Account Authentication"},
    relation("detects", "dc--1", "attack-pattern--T1110", "Look for many failures, then one success."),
    pattern("T1086", "Old Shell", revoked=True),
    pattern("T1059.001", "New Shell"),
    relation("revoked-by", "attack-pattern--T1086", "attack-pattern--T1059.001"),
)

NEWER = bundle(
    pattern("T1110", "Guessing"),
    {"type": "x-mitre-data-component", "id": "dc--1", "name": "Logon Session Creation"},
    {
        "type": "x-mitre-analytic",
        "id": "an--1",
        "name": "Analytic 1",
        "description": "Many failed logons of one account from one source within minutes.",
        "x_mitre_log_source_references": [
            {"x_mitre_data_component_ref": "dc--1", "name": "auth.log", "channel": "sshd: Failed password"}
        ],
    },
    {
        "type": "x-mitre-detection-strategy",
        "id": "ds--1",
        "name": "Guessing",
        "x_mitre_analytic_refs": ["an--1", "an--9"],
    },
    relation("detects", "ds--1", "attack-pattern--T1110"),
)


def technique(value: str) -> Observable:
    return Observable("technique", value)


def test_a_bundle_of_the_older_shape_is_read_whole() -> None:
    catalogue = parse_stix(OLDER)
    assert catalogue.version == "1.0"
    assert catalogue.entries["T1110"] == Entry(
        id="T1110",
        name="Guessing",
        tactics=("Credential Access",),
        platforms=("Linux", "Windows"),
        description="Tries many passwords. su",
        detection="Count failures per source.",
        mitigations=("Account Use Policies: Lock accounts after ten failures.",),
        hunting=("User Account Authentication: Look for many failures, then one success.",),
        data_sources=("User Account: User Account Authentication", "User Account Authentication"),
    )


def test_guidance_of_the_newer_shape_comes_from_its_analytics() -> None:
    entry = parse_stix(NEWER).entries["T1110"]
    assert entry.detection == "Many failed logons of one account from one source within minutes."
    assert entry.hunting == (f"{entry.detection} in auth.log: sshd: Failed password",)
    assert entry.data_sources == ("Logon Session Creation",)


def test_a_sub_technique_is_named_with_its_parent() -> None:
    assert parse_stix(OLDER).entries["T1110.001"].name == "Guessing: Password Guessing"


def test_a_revoked_id_leads_to_the_one_that_replaced_it() -> None:
    found = parse_stix(OLDER).find("T1086")
    assert found is not None
    assert found.id == "T1059.001"


def test_ids_that_replace_each_other_in_a_circle_still_answer() -> None:
    circle = {"T1": Entry(id="T1", name="a", revoked_by="T2"), "T2": Entry(id="T2", name="b", revoked_by="T1")}
    assert Catalogue("", circle).find("T1") is not None


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": "bundle"},
        {"type": "bundle", "objects": []},
        {"type": "bundle", "objects": [1, None, {"id": 5}, {"type": "attack-pattern"}]},
        bundle(),
        bundle({**pattern("T1110", "x"), "external_references": "no"}),
    ],
)
def test_what_is_no_bundle_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        parse_stix(broken)


def test_broken_parts_of_a_bundle_are_left_out() -> None:
    broken = bundle(
        pattern("T1110", "x", kill_chain_phases=5, x_mitre_platforms=[1, "Linux"], description={"a": 1}),
        pattern("TX", "not a technique"),
        relation("mitigates", "nobody", "attack-pattern--T1110"),
        relation("detects", "attack-pattern--T1110", "attack-pattern--T1110"),
    )
    assert parse_stix(broken).entries == {"T1110": Entry(id="T1110", name="x", platforms=("Linux",))}


def test_a_huge_bundle_of_texts_is_kept_short() -> None:
    entry = parse_stix(bundle(pattern("T1110", "x" * 100_000, description="y" * 100_000))).entries["T1110"]
    assert len(entry.name) <= 200
    assert len(entry.description) <= 600


def test_a_catalogue_survives_its_file() -> None:
    catalogue = parse_stix(OLDER)
    assert Catalogue.from_json(catalogue.to_json()) == catalogue
    assert json.loads(catalogue.to_json())["schema"] == "aegis.attack/1"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"schema":"other/1"}',
        b'{"schema":"aegis.attack/1","techniques":5}',
        b'{"schema":"aegis.attack/1","techniques":[{"id":"T1","name":5}]}',
        b'{"schema":"aegis.attack/1","techniques":[{"id":"T1","name":"x","more":1}]}',
        b'{"schema":"aegis.attack/1","techniques":[{"id":"T1","name":"x","tactics":"no"}]}',
    ],
)
def test_a_file_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(BadInput):
        Catalogue.from_json(text)


async def test_a_technique_of_the_catalogue_comes_with_guidance() -> None:
    enriched = await Attack(parse_stix(OLDER), clock=FixedClock()).enrich(technique("t1110"))
    found = enriched.finding
    assert (found.title, found.verdict, found.at) == ("T1110 Guessing", Verdict.UNKNOWN, NOW)
    assert found.facts["detection"] == "Count failures per source."
    assert found.facts["mitigations"].startswith("Account Use Policies")
    assert found.link == "https://attack.mitre.org/techniques/T1110/"
    assert enriched.usage == {"requests": 1}


async def test_an_outdated_id_says_what_it_became() -> None:
    found = (await Attack(parse_stix(OLDER), clock=FixedClock()).enrich(technique("T1086"))).finding
    assert (found.title, found.facts["replaces"]) == ("T1059.001 New Shell", "T1086")
    assert found.link.endswith("/T1059/001/")


async def test_without_a_catalogue_our_own_names_answer() -> None:
    found = (await Attack(Catalogue(), clock=FixedClock()).enrich(technique("T1110.001"))).finding
    assert found.title == f"T1110.001 {TECHNIQUES['T1110.001'].name}"
    assert found.facts == {"tactics": "Credential Access"}


async def test_an_id_that_nobody_knows_is_a_finding_too() -> None:
    found = (await Attack(Catalogue(), clock=FixedClock(), own={}).enrich(technique("T9999"))).finding
    assert found.title == "T9999 not in the catalogue"


def test_only_technique_ids_are_accepted() -> None:
    attack = Attack(Catalogue(), clock=FixedClock())
    assert attack.accepts(technique("T1110.001"))
    assert not attack.accepts(technique("T1110/../x"))
    assert not attack.accepts(Observable("domain", "T1110"))


async def test_the_public_bundle_is_fetched_from_the_configured_folder() -> None:
    http = ScriptedHttp([answer(200, OLDER)])
    config = Config(base_url="http://127.0.0.1:1/attack/")
    assert "T1110" in (await fetch(config, http, clock=FixedClock())).entries
    assert http.sent[0].url == "http://127.0.0.1:1/attack/enterprise-attack.json"


async def test_a_bundle_that_cannot_be_fetched_is_an_error() -> None:
    with pytest.raises(ServiceError):
        await fetch(Config(), ScriptedHttp([answer(503)]), clock=FixedClock())
    with pytest.raises(BadInput):
        await fetch(Config(), ScriptedHttp([answer(200, b"<html>")]), clock=FixedClock())


async def test_a_kept_catalogue_is_read_and_a_bad_one_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "attack.json"
    file.write_bytes(parse_stix(OLDER).to_json())
    made = build(Config(catalogue=str(file)), ScriptedHttp([]), clock=FixedClock(), new_id=new_id)
    assert (await made.enrich(technique("T1110"))).finding.title == "T1110 Guessing"
    file.write_text(json.dumps(OLDER))
    made = build(Config(catalogue=str(file)), ScriptedHttp([]), clock=FixedClock(), new_id=new_id)
    assert (await made.enrich(technique("T1110"))).finding.title == "T1110 Guessing"
    file.write_bytes(b"{}")
    with pytest.raises(ConfigError, match="attack update"):
        build(Config(catalogue=str(file)), ScriptedHttp([]), clock=FixedClock(), new_id=new_id)


def test_no_file_yet_is_no_error(tmp_path: Path) -> None:
    config = Config(catalogue=str(tmp_path / "none.json"))
    assert build(config, ScriptedHttp([]), clock=FixedClock(), new_id=new_id).accepts(technique("T1110"))
