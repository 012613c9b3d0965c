"""Makes the actuators that the configuration names. What is not configured is not there: a stop cannot reach it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from aegis.app.cluster import cluster
from aegis.config.reach import ClusterSettings, Credentials, Reach
from aegis.core.addresses import is_loopback
from aegis.core.ports import Clock, Http
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.telemetry import Observer
from aegis.emergency.actuators.anthropic_keys import AnthropicKeys
from aegis.emergency.actuators.aws import AthenaWorkgroups, AwsKeys, AwsRoles
from aegis.emergency.actuators.docker import Docker
from aegis.emergency.actuators.kubernetes import Kubernetes
from aegis.emergency.actuators.openai_spend import OpenAISpend
from aegis.emergency.actuators.processes import Processes
from aegis.emergency.ports import Actuator
from aegis.stores.database import Database
from aegis.stores.workloads import SqliteWorkloads
from aegis.transport.aws import AwsClients, make_client
from aegis.transport.http import OutboundHttp

Resolve = Callable[[Reference], Secret]


@asynccontextmanager
async def actuators(
    reach: Reach,
    database: Database,
    *,
    clock: Clock,
    observer: Observer,
    resolve: Resolve,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Actuator, ...]]:
    """Everything that a stop may reach beside our own keys, until the block ends. Raises `ConfigError`."""
    async with AsyncExitStack() as opened:
        door = OutboundHttp(clock=clock, observer=observer)
        opened.push_async_callback(door.close)
        programs = reach.programs
        found: list[Actuator] = [
            Processes(SqliteWorkloads(database), clock=clock, how=programs.how, grace_ms=programs.grace_ms)
        ]
        if (containers := reach.containers) is not None:
            engine = OutboundHttp(clock=clock, observer=observer, unix_socket=containers.socket)
            opened.push_async_callback(engine.close)
            found.append(Docker(engine, clock=clock, label=containers.label, how=containers.how))
        if reach.cluster is not None:
            found.append(
                _kubernetes(reach.cluster, opened, clock, observer, resolve, os.environ if env is None else env)
            )
        found += [_credentials(name, one, door, clock, resolve) for name, one in reach.credentials.items()]
        yield tuple(found)


def _kubernetes(
    settings: ClusterSettings,
    opened: AsyncExitStack,
    clock: Clock,
    observer: Observer,
    resolve: Resolve,
    env: Mapping[str, str],
) -> Kubernetes:
    there = cluster(settings, env, resolve)
    host = urlsplit(there.base).hostname or ""
    door = OutboundHttp(clock=clock, observer=observer, allow_private=(host,), tls=there.tls)
    opened.push_async_callback(door.close)
    return Kubernetes(
        door,
        clock=clock,
        base=there.base,
        token=there.token,
        namespaces=settings.namespaces,
        label=settings.label,
        delete_pods=settings.delete_pods,
    )


def _credentials(name: str, one: Credentials, door: Http, clock: Clock, resolve: Resolve) -> Actuator:
    reference = one.admin_key
    if reference is not None:  # the vendors' own: an administrator's key
        ask = partial(resolve, reference)
        if name == "anthropic":
            base = one.base_url or "https://api.anthropic.com"
            return AnthropicKeys(door, clock=clock, base=base, admin_key=ask, keys=one.ids)
        base = one.base_url or "https://api.openai.com"
        return OpenAISpend(door, clock=clock, base=base, admin_key=ask, projects=one.ids)
    aws = AwsClients(make=partial(make_client, stand_in=is_loopback(urlsplit(one.base_url).hostname or "")))
    at = {"region": one.region, "endpoint": one.base_url}
    match name:
        case "aws_keys":
            return AwsKeys(aws, keys=one.ids, **at)
        case "aws_roles":
            return AwsRoles(aws, roles=one.ids, **at)
        case _:
            return AthenaWorkgroups(aws, workgroups=one.ids, **at)
