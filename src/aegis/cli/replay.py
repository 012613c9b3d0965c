"""`aegis replay`: events of files worked again on their own time, against the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from aegis.cli.commands import Speaking, json_option
from aegis.cli.session import Session, session, show, show_json

FILE = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)


@click.command(
    cls=Speaking,
    examples=("aegis replay auth.log", "aegis replay cloudtrail.json.gz --policy stricter.yaml --json"),
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--policy", type=FILE, help="Also under this configuration, and what it changes.")
@click.option("--at", "pointer", metavar="POINTER", help="Where in each row the event stands, such as /event.")
@json_option
def command(files: tuple[Path, ...], policy: Path | None, pointer: str | None, as_json: bool) -> None:
    """What the configuration makes of these events: detections, incidents, analyses, cost and messages. Every service is the
    sandbox on this machine; nothing real is told and the state folder is not touched.
    """
    import anyio

    found = anyio.run(_replayed, session(), files, policy, pointer)
    if as_json:
        show_json("replay", **found)
    else:
        show("\n".join(_lines(found)))


async def _replayed(run: Session, files: tuple[Path, ...], policy: Path | None, pointer: str | None) -> dict[str, Any]:
    from aegis.app.system import SystemClock
    from aegis.config.load import load
    from aegis.rehearsal.replaying import differences, read, replay

    config = run.config()
    other = load(policy, run.env, run.overrides) if policy else None
    told = read(files, at=pointer, received_at=SystemClock().now())
    now = await replay(told.events, config)
    found: dict[str, Any] = {"rejected": told.rejected, "now": now}
    if other is not None:
        then = await replay(told.events, other)
        found |= {"policy": then, "difference": differences(now, then)}
    return found


def _lines(found: Mapping[str, Any]) -> list[str]:
    sides = [found["now"], *([found["policy"]] if "policy" in found else [])]
    rows: list[tuple[str, list[Any]]] = [
        ("events", [side["events"] for side in sides]),
        ("detections", [side["detections"] for side in sides]),
    ]
    for part in ("incidents", "analyses"):
        rows += [(f"{part} {name}", [side[part][name] for side in sides]) for name in sides[0][part]]
    rows.append(("spent", [f"${side['spent_usd']}" for side in sides]))
    services = dict.fromkeys(name for side in sides for name in side["services"])
    for name in services:
        counts = [side["services"].get(name, {}).get("received", 0) for side in sides]
        if any(counts):
            rows.append((f"requests to {name}", counts))
    head = f"  {'':<28}{'now':>14}{'policy':>14}" if len(sides) > 1 else f"  {'':<28}{'now':>14}"
    aside = [f"{found['rejected']} lines could not be read"] if found["rejected"] else []
    return [*aside, head, *(f"  {name:<28}" + "".join(f"{value!s:>14}" for value in values) for name, values in rows)]
