"""The table of connectors: which module holds which service, loaded when a configuration names it.

Every connector module exposes two names, and the configuration reader needs nothing else:

* `Config`: a frozen, keyword-only dataclass. A field's type is `str`, `int`, `bool`, `tuple[str, ...]`, `Secret` or
  `Secret | None`; a field without default must be given; `metadata["help"]` says in words what it is. `fields(name)`
  lists them. A value that cannot be used raises `ConfigError` with a sentence that names the field, never the value.
* `build(config, http, *, clock, new_id)`: the connector, which plays one or more roles of `aegis.core.ports`
  (`Notifier`, `Messenger`, `MetricSink`, `Enricher`, `Analyst`, `Probe`) and opens no connection by itself.

A module whose service does not speak HTTP has a third one: `NEEDS`, the names of the ways out (`aegis.core.outlets`) that
its `build` takes as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, cast, get_type_hints
from urllib.parse import urlsplit

from aegis.core.errors import ConfigError
from aegis.core.ports import Clock, Http, NewId
from aegis.core.secret import Secret

CONNECTORS: Mapping[str, str] = {
    "anthropic": "aegis.connectors.anthropic:Anthropic",
    "apprise": "aegis.connectors.apprise:Apprise",
    "attack": "aegis.connectors.attack:Attack",
    "cloudwatch": "aegis.connectors.cloudwatch:CloudWatch",
    "datadog": "aegis.connectors.datadog:Datadog",
    "discord": "aegis.connectors.discord:Discord",
    "email": "aegis.connectors.email:Email",
    "jira": "aegis.connectors.jira:Jira",
    "pagerduty": "aegis.connectors.pagerduty:PagerDuty",
    "sentry": "aegis.connectors.sentry:Sentry",
    "slack": "aegis.connectors.slack:Slack",
    "splunk": "aegis.connectors.splunk:Splunk",
    "teams": "aegis.connectors.teams:Teams",
    "twilio": "aegis.connectors.twilio:Twilio",
    "virustotal": "aegis.connectors.virustotal:VirusTotal",
    "webhook": "aegis.connectors.webhook:Webhook",
}
"""Service name to `module:Class`. One line adds a connector."""

FieldKind = Literal["text", "whole_number", "yes_or_no", "words", "secret"]
_KINDS: Mapping[object, FieldKind] = {
    str: "text",
    int: "whole_number",
    bool: "yes_or_no",
    tuple[str, ...]: "words",
    Secret: "secret",
    Secret | None: "secret",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field of a connector's `Config`, as the configuration file's reader needs it. `default` is None for a
    secret and where `required`.
    """

    name: str
    kind: FieldKind
    required: bool
    default: str | int | bool | tuple[str, ...] | None
    help: str


class ConnectorModule(Protocol):
    """What every connector module exposes."""

    @property
    def Config(self) -> type[Any]: ...  # noqa: N802 - the class itself

    def build(self, config: Any, http: Http, *, clock: Clock, new_id: NewId, **outlets: Any) -> Any: ...


def load(name: str) -> ConnectorModule:
    """The module of a connector. Raises `ConfigError` for a name that is none, with the names there are."""
    if name not in CONNECTORS:
        raise ConfigError(f"{name} is no connector; there are {', '.join(sorted(CONNECTORS))}")
    return cast(ConnectorModule, import_module(CONNECTORS[name].partition(":")[0]))


def fields(name: str) -> tuple[FieldSpec, ...]:
    """The fields of a connector's configuration, in order."""
    config = load(name).Config
    hints = get_type_hints(config)
    return tuple(
        FieldSpec(
            name=field.name,
            kind=_KINDS[hints[field.name]],
            required=field.default is dataclasses.MISSING,
            default=None if field.default is dataclasses.MISSING else field.default,
            help=field.metadata["help"],
        )
        for field in dataclasses.fields(config)
    )


def configs() -> Mapping[str, tuple[FieldSpec, ...]]:
    """The fields of every connector. Loads all of them: for the configuration's JSON Schema and for docs."""
    return {name: fields(name) for name in CONNECTORS}


def private_hosts(config: object) -> frozenset[str]:
    """The hosts of a connector's config that may stand on a private address, for the transport's `allow_private`."""
    return hosts(config) if getattr(config, "allow_private", False) else frozenset()


def hosts(config: object) -> frozenset[str]:
    """The hosts that a connector speaks HTTP with at addresses of its config."""
    secrets = (value for name in ("dsn", "webhook") if isinstance(value := getattr(config, name, None), Secret))
    addresses = (getattr(config, "base_url", ""), *(secret.reveal() for secret in secrets))
    return frozenset(host for address in addresses if (host := urlsplit(address).hostname))


def build(
    name: str,
    values: Mapping[str, Any],
    http: Http,
    *,
    clock: Clock,
    new_id: NewId,
    outlets: Mapping[str, object] | None = None,
) -> Any:
    """A connector from already typed values (secrets as `Secret`); `outlets` are the ways out beside HTTP, by name.
    Raises `ConfigError` for values it cannot use.
    """
    module = load(name)
    needed = {need: (outlets or {})[need] for need in getattr(module, "NEEDS", ())}
    return module.build(module.Config(**values), http, clock=clock, new_id=new_id, **needed)
