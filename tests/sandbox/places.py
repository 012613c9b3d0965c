"""What the sandbox's tests share: a clock that is moved by hand, a client over real HTTP, and the vendors' schemas."""

import datetime as dt
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from jsonschema import Draft202012Validator, FormatChecker

from aegis.sandbox.server import Serving
from aegis.sandbox.world import World

NOW = dt.datetime(2026, 3, 3, 12, 0, tzinfo=dt.UTC)


class HandClock:
    """Time that only the test moves. A sleep is recorded and ends at once, or never when `stands` is set."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.at = now
        self.slept: list[int] = []
        self.stands = False

    def now(self) -> dt.datetime:
        return self.at

    def monotonic_ns(self) -> int:
        return int(self.at.timestamp() * 1_000_000_000)

    async def sleep_ms(self, milliseconds: int) -> None:
        self.slept.append(milliseconds)
        await (anyio.sleep_forever() if self.stands else anyio.lowlevel.checkpoint())

    def pass_by(self, **time: float) -> None:
        self.at += dt.timedelta(**time)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Speaks real HTTP to a served world."""

    world: World
    clock: HandClock
    serving: Serving
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, *, value: Any = None, data: bytes | None = None, **headers: str
    ) -> Answer:
        """One request; `value` is sent as JSON, `headers` have `_` for `-`."""
        sent = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if value is not None:
            data = json.dumps(value).encode()
            sent.setdefault("content-type", "application/json")
        body = io.BytesIO(data) if data is not None else None
        url = f"{self.serving.url}{path}"
        async with self.session.request(
            method, url, data=body, headers=sent, skip_auto_headers=("content-type",)
        ) as got:
            return Answer(got.status, {name.lower(): text for name, text in got.headers.items()}, await got.read())

    async def post(self, path: str, value: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, value=value, **more)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)


@dataclass(frozen=True)
class Contracts:
    """The vendors' schemas of the evidence folder."""

    folder: Path

    def document(self, name: str) -> dict[str, Any]:
        plain = self.folder / f"{name}.json"
        raw = plain.read_bytes() if plain.exists() else gzip.decompress((self.folder / f"{name}.json.gz").read_bytes())
        found: dict[str, Any] = json.loads(raw)
        return found

    def breaches(self, service: str, name: str, payload: Any, kind: str = "responses") -> list[str]:
        """What is wrong with a payload; `kind` is `requests` or `responses`."""
        document = self.document(service)
        entry = document[kind][name]
        schema = entry if kind == "responses" else entry["schema"]
        check = Draft202012Validator({"$defs": document.get("$defs", {}), **schema}, format_checker=FormatChecker())
        return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in check.iter_errors(payload)]
