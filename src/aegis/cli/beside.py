"""Asks the Aegis that works on the state folder, for commands that change something while it runs."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis.cli.session import Session
from aegis.core.errors import AegisError, BadInput, ServiceError

if TYPE_CHECKING:
    from aegis.core.ports import HttpAnswer

ADDRESS_FILE = "api-address"
"""Where `aegis up` leaves the address that it listens on, beside its token."""
HERE = "aegis"


def keep_address(home: Path, address: str) -> None:
    """Leave word of where the running Aegis listens."""
    (home / ADDRESS_FILE).write_text(address + "\n")


def is_busy(home: Path) -> bool:
    """Whether an Aegis works on this state folder now."""
    from aegis.cli.opened import LOCK_FILE

    if not (home / ADDRESS_FILE).exists() or not (home / LOCK_FILE).exists():
        return False
    with (home / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


async def ask(run: Session, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the running Aegis answers. Raises `BadInput` with its own words when it refuses, `ServiceError` when no answer
    comes.
    """
    answer = await _send(run, method, path, b"" if document is None else json.dumps(document).encode())
    try:
        told: dict[str, Any] = json.loads(answer.body or b"{}")
    except ValueError:
        told = {}
    if answer.status < 300:
        return told
    raise _refusal(answer.status, told)


async def fetch(run: Session, path: str) -> str:
    """A page of the running Aegis as text. Raises `ServiceError` when it is not there."""
    answer = await _send(run, "GET", path, b"")
    if answer.status >= 300:
        raise _refusal(answer.status, {})
    return answer.body.decode("utf-8", "replace")


async def _send(run: Session, method: str, path: str, body: bytes) -> HttpAnswer:
    from aegis.app.system import SystemClock
    from aegis.core.ports import HttpRequest
    from aegis.transport.http import OutboundHttp
    from aegis.web.access import TOKEN_FILE

    address = (run.home / ADDRESS_FILE).read_text().strip()
    token = (run.home / TOKEN_FILE).read_text().strip()
    http = OutboundHttp(clock=SystemClock(), observer=lambda _: None)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    try:
        return await http.send(
            HttpRequest(service=HERE, method=method, url=f"{address}{path}", headers=headers, body=body)
        )
    finally:
        await http.close()


def _refusal(status: int, told: Mapping[str, Any]) -> AegisError:
    detail = str(told.get("detail", f"it answered {status}"))
    if status in (400, 404, 413):
        return BadInput(detail, code=str(told.get("code", "bad_input")))
    return ServiceError(HERE, detail, retryable=False, status=status)
