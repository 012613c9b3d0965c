"""The services outside, for commands: a sandbox on loopback that runs in a thread beside the command."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from anyio.from_thread import BlockingPortal, start_blocking_portal
from tests.cli.running import Place

from aegis.app.system import SystemClock
from aegis.rehearsal.sandboxed import sandbox_secrets
from aegis.sandbox.server import Serving, serve
from aegis.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Outside:
    """A running sandbox and what it remembers."""

    world: World
    serving: Serving
    portal: BlockingPortal

    def configure(self, here: Place, *, budgets: str = "") -> None:
        """Claude and PagerDuty are the sandbox; their keys stand in the environment."""
        here.env.update({name: secret.reveal() for name, secret in sandbox_secrets(self.serving).items()})
        url = self.serving.url
        here.write(
            f"{budgets}\n"
            f"services: {{anthropic: {{key: env:SANDBOX_KEY, base_url: '{url}/anthropic', rate: 10/minute}}}}\n"
            f"connectors: {{pagerduty: {{routing_key: env:SANDBOX_ROUTING_KEY, base_url: '{url}/pagerduty'}}}}\n"
        )

    def fault(self, service: str, mode: str, count: int | None = None) -> None:
        self.portal.call(lambda: self.world.fault(service, mode, count=count))


@contextmanager
def outside() -> Iterator[Outside]:
    world = World(clock=SystemClock())
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve(world)) as serving:
        yield Outside(world, serving, portal)
