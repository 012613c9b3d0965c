"""The sandbox's ATT&CK bundle holds every technique that our rules name, in the public bundle's form."""

import pytest
from tests.sandbox.places import Client

from aegis.core.techniques import TECHNIQUES

pytestmark = pytest.mark.anyio

PATH = "/attack/enterprise-attack.json"


async def test_every_technique_stands_in_the_bundle_with_its_tactics(client: Client) -> None:
    bundle = (await client.get(PATH)).json
    found = {
        one["external_references"][0]["external_id"]: one
        for one in bundle["objects"]
        if one["type"] == "attack-pattern" and not one["revoked"]
    }
    assert found.keys() == TECHNIQUES.keys()
    for number, technique in TECHNIQUES.items():
        assert tuple(phase["phase_name"] for phase in found[number]["kill_chain_phases"]) == technique.tactics
        assert technique.name.endswith(found[number]["name"])


async def test_relationships_lead_to_objects_of_the_bundle_and_ids_are_unique(client: Client) -> None:
    objects = (await client.get(PATH)).json["objects"]
    ids = {one["id"] for one in objects}
    assert len(ids) == len(objects)
    links = [one for one in objects if one["type"] == "relationship"]
    assert {one["relationship_type"] for one in links} == {"mitigates", "revoked-by"}
    assert all({one["source_ref"], one["target_ref"]} <= ids for one in links)


async def test_an_unchanged_bundle_is_not_sent_again(client: Client) -> None:
    tag = (await client.get(PATH)).headers["etag"]
    again = await client.get(PATH, if_none_match=tag)
    assert (again.status, again.body) == (304, b"")
