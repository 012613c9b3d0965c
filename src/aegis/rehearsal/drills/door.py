"""The gateway of a drill, asked by programs from any address: the real one, called without a socket in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aegis.core.secret import Secret
from aegis.rehearsal.drills.scene import Scene
from aegis.rehearsal.programs import LARGE
from aegis.web.gateway import Gateway

PATH: Final = "/v1/messages"


@dataclass(slots=True)
class Door:
    """Where programs knock."""

    here: Scene
    gateway: Gateway

    @classmethod
    def of(cls, here: Scene) -> Door:
        app = here.app
        assert app.gateway is not None, "the scene was opened with a gateway"
        return cls(here, Gateway(app.gateway, app.governor, clock=app.clock, new_id=app.new_id))

    async def knock(self, key: Secret, *, address: str, prompt: str, model: str = LARGE) -> int:
        """One request with a virtual key from an address; the status of the answer."""
        body = {"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": prompt}]}
        return await self.here.awaited(lambda: self._asked(key, address, orjson.dumps(body)))

    async def _asked(self, key: Secret, address: str, body: bytes) -> int:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "client": (address, 40_000),
            "server": ("127.0.0.1", 8787),
            "headers": [
                (b"host", b"127.0.0.1:8787"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"anthropic-version", b"2023-06-01"),
                (b"x-api-key", key.reveal().encode()),
            ],
        }
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.gateway(scope, receive, send)
        return statuses[0]
