"""The pages under docs/reference are what the code says today, and what they add by hand is valid."""

import json
import re
import shlex
from inspect import signature
from pathlib import Path
from typing import Any, cast

import click
import jsonschema
import pytest
from ruamel.yaml import YAML
from tools.reference.__main__ import FOLDER, PAGES
from tools.reference.advice import DO, WHEN
from tools.reference.cli_page import commands
from tools.reference.codes import codes
from tools.reference.config_page import rows
from tools.reference.examples import EXAMPLES, SECTIONS
from tools.reference.http_page import STORED, Anything, document

from aegis.cli.commands import Speaking
from aegis.config.load import load
from aegis.config.sections.root import RootSection
from aegis.core.errors import AegisError
from aegis.web.gateway.asked import Asked
from aegis.web.gateway.models import PATH
from aegis.web.gateway.routes import _MODEL
from aegis.web.gateway.stored import Stored


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_is_what_the_code_says(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run: python3 dev.py reference"


def test_every_key_says_what_it_means() -> None:
    found = list(rows())
    assert len(found) > 300
    assert [path for path, _, meaning in found if not meaning] == [], "give the field a docstring in config/sections"


def test_every_example_of_a_key_is_one() -> None:
    known = {path: schema for path, schema, _ in rows()} | RootSection.model_json_schema()["properties"]
    defs = RootSection.model_json_schema()["$defs"]
    for path, example in EXAMPLES.items():
        [(key, value)] = YAML(typ="safe").load(example).items()
        assert path in known, f"{path} is no key any more"
        assert path.rpartition(".")[2] == key
        read = json.loads(json.dumps(value, default=lambda moment: moment.isoformat()))
        assert jsonschema.Draft202012Validator({"$defs": defs, **known[path]}).is_valid(read), path


@pytest.mark.parametrize("name", list(SECTIONS))
def test_the_example_of_a_section_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "aegis.yaml").write_text(SECTIONS[name].strip() + "\n", encoding="utf-8")
    config = load(tmp_path / "aegis.yaml")
    assert any(entry.path.startswith(name) and "aegis.yaml" in entry.origin for entry in config.entries)


def test_what_is_said_of_codes_is_said_of_codes_that_exist() -> None:
    found = codes()
    assert len(found) > 150
    assert set(DO) <= set(found)
    assert set(WHEN) <= set(found)


def test_every_example_of_a_command_is_one() -> None:
    known = {" ".join(words): command for words, command in commands()}
    tried = 0
    for command in known.values():
        for example in command.examples if isinstance(command, Speaking) else ():
            words = shlex.split(re.split(r" [|><&] ?", example.partition("| ")[2] or example)[0], comments=True)
            if "aegis" in words:
                _parsed(known, words[words.index("aegis") :])
                tried += 1
    assert tried > 100


def _parsed(known: dict[str, click.Command], words: list[str]) -> None:
    """Fails where the command or an option of it does not exist; nothing is invoked."""
    length = max(n for n in range(1, len(words) + 1) if n == 1 or " ".join(words[:n]) in known)
    assert length > 1, words
    command = known[" ".join(words[:length])]
    assert not isinstance(command, click.Group) or command.invoke_without_command, words
    command.make_context(words[length - 1], words[length:], resilient_parsing=True)


def test_every_path_of_the_gateway_that_is_listed_is_served() -> None:
    stored = served()
    for verbs, path, said in STORED:
        if path.startswith("/model/"):
            assert all(_MODEL.fullmatch(path.encode() + end) for end in (b"", b"-stream"))
            continue
        if path == PATH.decode():
            continue
        filled = path.replace("ID", "x_1")
        listed = [(verb, filled) for verb in verbs.split(", ")]
        listed += [
            (found[0] or "GET", filled + found[1]) for found in re.findall(r"(?:`(POST)` to )?`(/[a-z]+)`", said)
        ]
        for verb, asked in listed:
            stored._route(_asked(verb, asked))


def served() -> Stored:
    """The gateway's routing of what it keeps, with nothing behind it."""
    return Stored(**dict.fromkeys(signature(Stored).parameters, cast(Any, Anything())))


def _asked(verb: str, path: str) -> Asked:
    return Asked({"method": verb, "raw_path": path.encode(), "path": path, "query_string": b"", "headers": []})


def test_the_document_describes_every_path_of_the_api() -> None:
    assert len(document()["paths"]) > 15
    with pytest.raises(AegisError):
        served()._route(_asked("GET", "/v1/nothing"))
