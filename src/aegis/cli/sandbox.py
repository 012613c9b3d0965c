"""`aegis sandbox`: the stand-in for every outside service, alone; and what it got."""

from __future__ import annotations

import signal

import click

from aegis.cli.commands import Group, json_option
from aegis.cli.session import Session, say, session, show, show_json

PORT = 8788


@click.group(
    cls=Group, name="sandbox", invoke_without_command=True, examples=("aegis sandbox", "aegis sandbox show slack")
)
@click.option("--port", default=PORT, show_default=True, help="Where it listens on 127.0.0.1.")
@click.pass_context
def group(context: click.Context, port: int) -> None:
    """Run the sandbox alone until Ctrl-C, or show what it got."""
    if context.invoked_subcommand is None:
        import anyio

        anyio.run(_serve, session(), port)


@group.command("show")
@click.argument("service")
@json_option
def show_service(service: str, as_json: bool) -> None:
    """What SERVICE got from the last runs with `--sandbox` (or `all`): counts, and every request that is kept."""
    from aegis.app.system import SystemClock
    from aegis.cli.opened import SANDBOX_JOURNAL
    from aegis.core.errors import BadInput
    from aegis.sandbox.world import World

    journal = session().home / SANDBOX_JOURNAL
    if not journal.exists():
        raise BadInput(f"nothing was sent to the sandbox yet ({journal})", code="no_such_journal")
    world = World(clock=SystemClock(), journal=journal)
    tallies = world.tallies() if service == "all" else {service: world.received(service)}
    if as_json:
        show_json("sandbox", services={name: tally.to_json() | _kept(tally) for name, tally in tallies.items()})
        return
    for name, tally in tallies.items():
        show(f"{name}: {tally.received} received, {tally.rejected} rejected, {tally.faulted} failed on demand")
        for record in tally.records:
            show(f"  {record.at}  {record.method} {record.path}  {record.status}  {record.line}")


def _kept(tally: object) -> dict[str, object]:
    from dataclasses import asdict

    return {"records": [asdict(record) for record in getattr(tally, "records", ())]}


async def _serve(run: Session, port: int) -> None:
    import anyio

    from aegis.app.system import SystemClock
    from aegis.cli.opened import SANDBOX_JOURNAL
    from aegis.sandbox.server import serve
    from aegis.sandbox.world import World

    world = World(clock=SystemClock(), journal=run.make_home() / SANDBOX_JOURNAL)
    async with serve(world, port=port) as serving:
        say(f"The sandbox stands on {serving.url}")
        for name, address in serving.addresses().items():
            show(f"{name:<12} {address}")
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _signal in signals:
                break
    world.close()
