"""Drill: the machine is lost; a backup that was made while Aegis worked comes back elsewhere, and damaged ones are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import anyio

from aegis.app.backing import BackupKeys, back_up, put_back, verify
from aegis.app.system import SystemClock
from aegis.config.settings import Config
from aegis.core.errors import AegisError, BadInput
from aegis.core.secret import Secret
from aegis.emergency.sealing import MAGIC, VERSION, Lock
from aegis.rehearsal.drills.records import logging_stopped
from aegis.rehearsal.drills.report import Line, Looked, Measure, Report
from aegis.rehearsal.drills.scene import BEGINS, Asking, Props, Scene, Told, reported, scene
from aegis.rehearsal.drills.seclusion import Watch
from aegis.rehearsal.programs import Program
from aegis.secrets.keys import Keys

SETTINGS: Final = "budgets: {everything: {daily: {warning: 0.20, critical: 0.30, emergency: 0.40}}}\n"
WORDS, OTHER_WORDS = Secret("a passphrase of this drill"), Secret("another passphrase than that")
WORK: Final = Program(key="importer", team="importers", prompt="Read all of this and sum it up. " * 60)
BEFORE, MEANWHILE, AFTER = 6, 4, 6
"""Calls before the backup, while it is made, and between it and the loss."""
MINUTE_MS: Final = 60_000
TOLD: Final = Told(
    kind="restore",
    title="the machine is lost",
    story=(
        "Aegis works incidents and pays for calls. A backup is made while it does; then more is paid, and the machine is lost. "
        "The backup is put back twice: beside a copy of the lost store that can be read still, and on a new machine that has "
        "nothing. Five damaged or foreign files are tried as backups before that."
    ),
    size=f"{BEFORE + MEANWHILE} calls in the backup, {AFTER} after it, 5 files that must be refused",
)


@dataclass(slots=True)
class Course:
    """What is known from before the loss, and how each restore went."""

    config: Config
    backup: Path
    bill: int
    incidents: int
    began: datetime
    ended: datetime
    known: dict[Lock, bytes]
    lines: list[Line] = field(default_factory=list)
    refusals: dict[str, tuple[str, str]] = field(default_factory=dict)
    touched: int = 0
    kept: str = ""
    settled: int | None = None
    found: int = 0
    took_ms: int | None = None
    admitted: bool = False
    filled: str = ""
    admitted_blindly: int = 0
    next_day: bool = False


async def play(asking: Asking, watch: Watch) -> Report:
    """Play it and measure."""
    course = await _lose(asking, watch)
    if asking.planted == "backup-lost":
        course.backup.write_bytes(course.backup.read_bytes()[: course.backup.stat().st_size // 2])
    else:
        await _refuse(asking, course)
    await _beside_the_old(asking, watch, course)
    return await _on_a_new_machine(asking, watch, course)


def keys_of(home: Path, words: Secret, known: dict[Lock, bytes] | None = None) -> BackupKeys:
    """`known` are keys that were stretched already: scrypt takes its time, and one drill opens one lock many times."""
    keys = Keys(home=home, credential="none", env={})
    return BackupKeys(keys=keys, passphrase=lambda _new: words, known={} if known is None else known)


async def _lose(asking: Asking, watch: Watch) -> Course:
    """The life of the first machine, until it is lost: what stays is its folder, and the backup."""
    to = asking.home / "backups"
    async with scene(asking, watch, Props(settings=SETTINGS)) as here:
        await here.take(logging_stopped(here.clock.now(), 1), source="cloudtrail")
        await _work(here, BEFORE)
        home, made, known = here.app.home, list[Path](), dict[Lock, bytes]()

        async def back_it_up() -> None:
            found, _ = await back_up(
                here.app.config,
                home,
                keys_of(home, WORDS, known),
                to=to,
                new_id=here.app.new_id("sto"),
                now=here.clock.now(),
            )
            made.append(found)
            here.seen.say(here.clock.now(), "backup", "a backup is made and verified while calls go on")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(back_it_up)
            await _work(here, MEANWHILE)
        incidents = len(await here.app.incidents.recent(100))
        await here.pass_(timedelta(minutes=10))
        await _work(here, AFTER)
        await here.pass_(timedelta(minutes=1))
        here.seen.say(
            here.clock.now(), "loss", "the machine is lost; its folder is copied, its backup stands elsewhere"
        )
        return Course(
            known=known,
            lines=here.seen.lines(),
            config=here.app.config,
            backup=made[0],
            bill=here.bill(),
            incidents=incidents,
            began=here.began,
            ended=here.clock.now(),
        )


async def _work(here: Scene, calls: int) -> None:
    for _ in range(calls):
        await here.ask(WORK)


# --- what must be refused --------------------------------------------------------------------------------------


def _cut(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


def _flipped(body: bytes) -> bytes:
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def _newer(body: bytes) -> bytes:
    return MAGIC + (VERSION + 1).to_bytes(2) + body[len(MAGIC) + 2 :]


def _foreign(_body: bytes) -> bytes:
    return b"PK\x03\x04 the archive of another program"


def _same(body: bytes) -> bytes:
    return body


DAMAGED: Final[Mapping[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]]] = {
    "another program's file": (_foreign, ("not_a_backup",)),
    "a backup whose end is missing": (_cut, ("cut_backup",)),
    "a backup with one changed bit": (_flipped, ("damaged_backup", "cut_backup")),
    "a backup of a newer Aegis": (_newer, ("newer_backup",)),
    "a backup with another key": (_same, ("wrong_key",)),
}


async def _refuse(asking: Asking, course: Course) -> None:
    """Try each damaged file, in a folder that is alive; what it says, and whether anything of the folder changed."""
    home, body = asking.home / "aegis", course.backup.read_bytes()
    before = _fingerprint(home)
    for name, (spoil, codes) in DAMAGED.items():
        file = asking.home / "damaged.aegisbak"
        file.write_bytes(spoil(body))
        words = OTHER_WORDS if "wrong_key" in codes else WORDS
        try:
            await _put_back(course, home, file, words, BEGINS)
            course.refusals[name] = ("taken", "")
        except BadInput as refused:
            course.refusals[name] = (refused.code, str(refused))
        course.touched += _fingerprint(home) != before


def _fingerprint(home: Path) -> str:
    """The files of a folder and what stands in them."""
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


async def _put_back(course: Course, home: Path, file: Path, words: Secret, now: datetime) -> str:
    done = await put_back(
        course.config,
        home,
        keys_of(home, words, course.known if words is WORDS else None),
        file,
        who="ada",
        new_id=f"sto_{home.name}",
        now=now,
        filled=True,
    )
    return done.ledger


# --- the two ways back -----------------------------------------------------------------------------------------


async def _beside_the_old(asking: Asking, watch: Watch, course: Course) -> None:
    """Where the lost store can be read still: what was paid since the backup stays paid."""
    home = asking.home / "beside"
    shutil.copytree(asking.home / "aegis", home)
    clock = SystemClock()
    began_ns = clock.monotonic_ns()
    try:
        await verify(course.backup, home, keys_of(home, WORDS, course.known))
        course.kept = await _put_back(course, home, course.backup, WORDS, course.ended)
    except AegisError as error:
        course.kept = str(error)
        return
    again = replace(asking, seed=asking.seed + 1)
    async with scene(again, watch, Props(settings=SETTINGS), begins=course.ended, folder="beside") as here:
        course.settled = next(one.settled for one in await here.app.governor.balances() if one.budget == "everything")
        course.found = len(await here.app.incidents.recent(100))
        course.admitted = (await here.ask(WORK)).made
        here.seen.say(course.ended, "restore", f"beside the old store: its ledger is {course.kept}")
        course.lines += here.seen.lines()
        course.took_ms = (clock.monotonic_ns() - began_ns) // 1_000_000


async def _on_a_new_machine(asking: Asking, watch: Watch, course: Course) -> Report:
    """Where nobody knows what was paid since: nothing is admitted before the budget's next window."""
    home = asking.home / "elsewhere"
    home.mkdir(mode=0o700)
    try:
        course.filled = await _put_back(course, home, course.backup, WORDS, course.ended)
    except AegisError as error:
        course.filled = str(error)
    again = replace(asking, seed=asking.seed + 2)
    async with scene(again, watch, Props(settings=SETTINGS), begins=course.ended, folder="elsewhere") as here:
        if course.filled == "filled":
            for _ in range(3):
                course.admitted_blindly += (await here.ask(WORK)).made
            await here.pass_(datetime.fromisoformat("2026-03-04T00:05:00+00:00") - here.clock.now())
            course.next_day = (await here.ask(WORK)).made
        here.began, here.asking = course.began, asking
        here.seen.say(course.ended, "restore", f"on a new machine: open windows are {course.filled}")
        return await reported(here, TOLD, _measures(course), _looked(asking, course), more=course.lines)


def _measures(course: Course) -> list[Measure]:
    minutes = None if course.took_ms is None else -(-course.took_ms // MINUTE_MS) * MINUTE_MS
    return [
        Measure(name="time_to_notice", text="the loss is given in this drill"),
        Measure(name="time_to_tell", text="the loss is given in this drill"),
        Measure(name="time_to_stop", text="nothing is stopped in this drill"),
        Measure(
            name="overspend",
            value=None if course.settled is None else max(0, course.bill - course.settled),
            target=0,
            text="what the provider charged and the restored ledger does not know, where the old store can be read",
            advice="A ledger was rewound: do not use this restore.",
        ),
        Measure(
            name="false_stops",
            value=int(not course.admitted) if course.settled is not None else None,
            target=0,
            text="calls that the restored Aegis refused although its budget had room",
            advice="aegis budget list on the restored store.",
        ),
        Measure(
            name="time_to_return",
            value=minutes if course.admitted else None,
            target=5 * MINUTE_MS,
            text="real time from the order to the first admitted call, rounded up to a minute",
            advice="Keep backups smaller, or nearer: aegis db verify says whether the newest one is whole.",
        ),
    ]


def _looked(asking: Asking, course: Course) -> list[Looked]:
    refusals = [
        Looked(
            name=f"{name} is refused",
            good=course.refusals.get(name, ("",))[0] in codes,
            text=course.refusals.get(name, ("", "it was not tried"))[1] or "it was taken",
        )
        for name, (_, codes) in DAMAGED.items()
    ]
    return [
        *(refusals if asking.planted != "backup-lost" else []),
        Looked(
            name="what is refused changes nothing",
            good=not course.touched,
            text=f"the folder changed {course.touched} times",
        ),
        Looked(
            name="the old store's ledger goes on",
            good=course.kept == "taken over" and course.settled == course.bill,
            text=f"{course.kept}; it {'agrees' if course.settled == course.bill else 'does not agree'} with the provider's bill",
            advice="Verify backups by the clock, and keep more than one place.",
        ),
        Looked(
            name="the incidents are back",
            good=course.found >= course.incidents > 0,
            text=f"{course.found} of {course.incidents}",
        ),
        Looked(
            name="a new machine admits nothing before the next window",
            good=course.filled == "filled" and not course.admitted_blindly and course.next_day,
            text=f"{course.filled}: {course.admitted_blindly} calls admitted that day, "
            f"{'admitted' if course.next_day else 'refused'} the next",
            advice="Nobody knows what was spent since the backup: windows have to be full.",
        ),
    ]
