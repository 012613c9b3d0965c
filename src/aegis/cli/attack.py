"""`aegis attack`: the MITRE ATT&CK catalogue with detection guidance, mitigations and hunting hints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aegis.cli.commands import Group
from aegis.cli.session import Session, say, session

if TYPE_CHECKING:
    from aegis.connectors.attack import Catalogue

BUNDLE_BYTES_MAX = 256 << 20
"""The enterprise bundle has some 50 MB."""


@click.group(cls=Group, name="attack", examples=("aegis attack update", "aegis attack update enterprise-attack.json"))
def group() -> None:
    """ATT&CK: without a catalogue only the names of the techniques that our own rules use are known."""


@group.command("update")
@click.argument("source", required=False)
def update(source: str | None) -> None:
    """Take the catalogue from SOURCE: a STIX 2.1 bundle as a file, or the folder of one as an https address. Without
    SOURCE from MITRE's public repository.
    """
    import anyio

    anyio.run(_update, session(), source)


async def _update(run: Session, source: str | None) -> None:
    from aegis.app.services import CATALOGUE_FILE

    home = run.make_home()
    catalogue = _read(Path(source)) if source and "://" not in source else await _fetched(source)
    _write(home / CATALOGUE_FILE, catalogue.to_json())
    say(f"{len(catalogue.entries)} techniques are known now ({home / CATALOGUE_FILE})")


def _read(path: Path) -> Catalogue:
    """The catalogue of a bundle on this machine. Raises `BadInput`."""
    import orjson

    from aegis.connectors.attack import parse_stix
    from aegis.core.errors import BadInput

    try:
        if path.stat().st_size > BUNDLE_BYTES_MAX:
            raise BadInput(f"{path} is larger than any bundle", code="too_large")
        bundle = orjson.loads(path.read_bytes())
        if not isinstance(bundle, dict):
            raise BadInput(f"{path} is no STIX bundle: not an object", code="not_stix")
        return parse_stix(bundle)
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadInput(f"{path} is no STIX bundle: {error}", code="not_stix") from error


async def _fetched(address: str | None) -> Catalogue:
    """The catalogue from the public repository, or from the folder at `address`."""
    from aegis.app.system import SystemClock
    from aegis.connectors.attack import Config, fetch
    from aegis.transport.http import OutboundHttp

    clock = SystemClock()
    http = OutboundHttp(clock=clock, observer=lambda _: None)
    try:
        return await fetch(Config(base_url=address) if address else Config(), http, clock=clock)
    finally:
        await http.close()


def _write(file: Path, text: bytes) -> None:
    """Replace the file whole, so that a start never reads half of it."""
    part = file.with_suffix(".part")
    part.write_bytes(text)
    part.replace(file)
