"""Which drills there are, and how one is run: alone, in a folder that goes afterwards, and watched."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, TypeAlias, cast

from aegis.core.errors import BadInput
from aegis.rehearsal.drills.report import Report
from aegis.rehearsal.drills.scene import PLANTS, Asking
from aegis.rehearsal.drills.seclusion import Watch, secluded

Play: TypeAlias = Callable[[Asking, Watch], Awaitable[Report]]
MODULE: Final = "aegis.rehearsal.drills"


@dataclass(frozen=True, slots=True)
class Kind:
    """A drill: its module, and which faults can be planted in it."""

    module: str
    plants: tuple[str, ...]


KINDS: Final[Mapping[str, Kind]] = {
    "budget": Kind("budget", ("channels-down", "actions-off")),
    "provider-outage": Kind("outage", ("channels-down", "breaker-off")),
    "stolen-key": Kind("stolen", ("channels-down", "nobody-acts")),
    "alert-flood": Kind("flood", ("channels-down",)),
    "injection": Kind("injection", ("channels-down",)),
    "restore": Kind("restoring", ("backup-lost",)),
}
"""In the order of the list; each module has `play`."""


async def run(kind: str, *, table: bytes, seed: int, fast: bool, planted: str = "") -> Report:
    """Run one drill. `table` is the compiled price list. Nothing but the report is left of it. Raises `BadInput` for a drill or a
    fault that there is not, and `ConfigError` where it cannot be watched.
    """
    found = KINDS.get(kind)
    if found is None:
        raise BadInput(f"there is no drill {kind[:64]}; they are {', '.join(KINDS)}", code="no_such_drill")
    if planted and planted not in found.plants:
        known = ", ".join(found.plants)
        raise BadInput(f"{planted[:64]} cannot be planted in {kind}; that can: {known}", code="no_such_fault")
    assert not planted or planted in PLANTS, "every fault is described"
    play = cast(Play, import_module(f"{MODULE}.{found.module}").play)
    with tempfile.TemporaryDirectory(prefix="aegis-drill-") as folder, secluded() as watch:
        return await play(Asking(home=Path(folder), table=table, seed=seed, fast=fast, planted=planted), watch)
