"""What the gate commands read: how the gates of the running Aegis stand, or, where none runs, what is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aegis.cli.session import Session, say
from aegis.core.errors import BadInput

if TYPE_CHECKING:
    from aegis.config.settings import Config
    from aegis.governor.policies import ServicePolicy

ASK_MS = 3_000
"""An Aegis on this machine answers in milliseconds; one that does not is treated as not running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The gates of every service. `live` is empty when no Aegis runs: then nothing is known but what is configured."""

    config: Config
    policies: Mapping[str, ServicePolicy]
    live: Mapping[str, Mapping[str, Any]]
    running: bool

    def names(self) -> list[str]:
        return sorted({*self.policies, *self.live})

    def policy(self, service: str) -> ServicePolicy:
        """Raises `BadInput` for a service that is neither configured nor used."""
        from aegis.governor.policies import DEFAULT

        if service not in self.names():
            raise BadInput(
                f"there is no service {service[:64]}; the services are {', '.join(self.names())}",
                code="no_such_service",
            )
        return self.policies.get(service, DEFAULT)

    def now(self, service: str, name: str) -> Any:
        """One value of a running Aegis about a service; None where none runs."""
        return self.live.get(service, {}).get(name)


async def gates(run: Session) -> Gates:
    """How the gates stand. Raises `ConfigError` for a configuration that cannot be used."""
    from aegis.app.services import policies

    config = run.config()
    document = await ask(run, config, "/api/services")
    if document is None:
        say("No Aegis runs on this state folder: this is what the configuration says")
    rows = {row["service"]: row for row in (document or {}).get("gates", ())}
    return Gates(config=config, policies=policies(config), live=rows, running=document is not None)


async def ask(run: Session, config: Config, path: str) -> Mapping[str, Any] | None:
    """What the Aegis that runs on this state folder answers; None when none does."""
    import orjson

    from aegis.app.system import SystemClock
    from aegis.core.addresses import is_loopback
    from aegis.core.errors import ServiceError
    from aegis.core.ports import HttpRequest
    from aegis.transport.http import OutboundHttp
    from aegis.web.access import TOKEN_FILE

    token, server = run.home / TOKEN_FILE, config.server
    if not token.exists() or not is_loopback(server.host):
        return None
    http = OutboundHttp(clock=SystemClock(), observer=lambda _: None)
    host = f"[{server.host}]" if ":" in server.host else server.host
    request = HttpRequest(
        service="aegis",
        method="GET",
        url=f"http://{host}:{server.port}{path}",
        headers={"Authorization": f"Bearer {token.read_text().strip()}"},
        timeout_ms=ASK_MS,
    )
    try:
        answer = await http.send(request)
        document = orjson.loads(answer.body) if answer.status == 200 else None
    except (ServiceError, orjson.JSONDecodeError):
        return None
    finally:
        await http.close()
    return document if isinstance(document, dict) else None


def span(milliseconds: int) -> str:
    """A span of time as the configuration writes it: `60s`, `5m`, `24h`."""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
