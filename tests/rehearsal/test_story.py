"""The recorded attack is the same for the same seed, in order, and names nobody real."""

import ipaddress
import json
import re
from itertools import pairwise

import pytest

from aegis.rehearsal.story import story

DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    assert story(7) == story(7)
    assert story(7) != story(8)


def test_time_only_goes_forward() -> None:
    steps = story(7)
    assert all(a.at <= b.at for a, b in pairwise(steps))


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_every_address_is_one_that_belongs_to_nobody(seed: int) -> None:
    for step in story(seed):
        for text in re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", step.text):
            assert any(ipaddress.ip_address(text) in net for net in DOCUMENTATION), text


def test_every_record_is_a_json_object() -> None:
    records = [step for step in story(7) if step.kind == "record"]
    assert records
    assert all(isinstance(json.loads(step.text), dict) for step in records)


def test_the_whole_attack_is_told() -> None:
    titles = " ".join(step.text for step in story(7) if step.kind == "chapter").lower()
    for part in (
        "scanner",
        "passwords",
        "rights",
        "data leaves",
        "stolen model key",
        "stops the key",
        "budget has room again",
    ):
        assert part in titles
