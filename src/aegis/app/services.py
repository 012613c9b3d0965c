"""From configuration to connectors and gates: which services are used, with which keys, at which rates.

Policy: a service whose key cannot be resolved stops the start; a metered service without a key is simply not used.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from aegis.config.settings import Config, Service, Value
from aegis.connectors import registry
from aegis.connectors.attack import Attack, read_catalogue
from aegis.core.budgets import Amounts, Budget
from aegis.core.calls import Priority
from aegis.core.errors import ConfigError
from aegis.core.money import usd
from aegis.core.ports import Analyst, Clock, Enricher, Governs, Http, Messenger, MetricSink, NewId, Notifier
from aegis.core.references import Reference
from aegis.core.secret import Secret
from aegis.core.techniques import TECHNIQUES
from aegis.core.telemetry import Observer
from aegis.core.windows import WindowPolicy
from aegis.governor.policies import ServicePolicy
from aegis.incidents.messages import GovernedMessenger, Metered
from aegis.transport.apprise import AppriseLibrary
from aegis.transport.aws import AwsClients
from aegis.transport.crashes import CrashReports
from aegis.transport.otel import CallSpans
from aegis.transport.smtp import SmtpMail

Resolve: TypeAlias = Callable[[Reference], Secret]

NOTIFIERS = (
    "pagerduty",
    "slack",
    "teams",
    "discord",
    "jira",
    "datadog",
    "splunk",
    "sentry",
    "email",
    "webhook",
    "apprise",
)
SINKS = ("datadog", "cloudwatch")
BUILT = (*NOTIFIERS, "twilio", "cloudwatch")
CATALOGUE_FILE = "attack.json"
VIRUSTOTAL_A_DAY = 500
"""The public API's daily quota (docs.virustotal.com/reference/public-vs-premium-api)."""
CRITICAL_SHARE = 10
"""Percent of that quota kept for CRITICAL incidents: fifty look-ups."""
ALARMS_A_DAY = usd("25")
"""About 3,000 messages within the USA, or fourteen calls that may stay in a conference for an hour: more than people
can act on, and little against what is at stake."""
ALARMS_CRITICAL_SHARE = 50
"""Percent of it that only CRITICAL incidents may use."""
FINDING_MS = 24 * 3_600_000
"""A reputation is looked up once a day, unless the configuration says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The connectors in use, by role."""

    notifiers: tuple[Notifier, ...]
    sinks: tuple[MetricSink, ...]
    messengers: tuple[Messenger, ...]
    """Ways to one person that cost nothing."""
    personal: tuple[Messenger, ...]
    """Ways to people by something of their own: a pager's service, a webhook."""
    metered: tuple[Metered, ...]
    """Ways to one person that the governor is asked about first."""
    connectors: tuple[Any, ...]
    """Every connector of the section `connectors`, as it was built."""
    enrichers: tuple[Enricher, ...]
    analyst: Analyst | None
    technique_exists: Callable[[str], bool]


def outlets(clock: Clock, observer: Observer) -> Mapping[str, object]:
    """The ways out beside HTTP, by the names under which connectors ask for them. None opens anything by itself."""
    return {
        "mail": SmtpMail(clock=clock, observer=observer),
        "aws": AwsClients(clock=clock, observer=observer),
        "apprise": AppriseLibrary(clock=clock, observer=observer),
    }


def build_parts(
    config: Config,
    *,
    home: Path,
    http: Http,
    clock: Clock,
    new_id: NewId,
    resolve: Resolve,
    ways: Mapping[str, object] | None = None,
) -> Parts:
    """Every connector that the configuration names; `ways` are the `outlets`. Raises `ConfigError` for a value or
    secret that cannot be used.
    """
    ways = ways or outlets(clock, lambda _happened: None)

    def make(name: str, values: Mapping[str, Any]) -> Any:
        return registry.build(name, values, http, clock=clock, new_id=new_id, outlets=ways)

    used = resolved(config, resolve)
    if "slack" in used and "slack" in config.inbound:
        used["slack"] |= {"interactive": True}  # presses come back to `/inbound/slack`
    made = {name: make(name, values) for name, values in used.items()}
    twilio = made.get("twilio")
    file = str(config.connectors.get("attack", {}).get("catalogue") or home / CATALOGUE_FILE)
    catalogue = read_catalogue(file)
    enrichers: list[Enricher] = [Attack(catalogue, clock=clock)]
    virustotal = config.services.get("virustotal")
    if virustotal is not None and virustotal.key is not None:
        enrichers.append(make("virustotal", _service_values(virustotal, resolve, key="api_key")))
    anthropic = config.services.get("anthropic")
    analyst = None
    if anthropic is not None and anthropic.key is not None:
        analyst = make("anthropic", _service_values(anthropic, resolve))
    return Parts(
        notifiers=tuple(made[name] for name in NOTIFIERS if name in made),
        sinks=tuple(made[name] for name in SINKS if name in made),
        messengers=tuple(made[name] for name in free_channels(config)),
        personal=_personal(config, http, clock, resolve),
        metered=(twilio.sms, twilio.phone) if twilio else (),
        connectors=tuple(made.values()),
        enrichers=tuple(enrichers),
        analyst=analyst,
        technique_exists=lambda technique: technique in TECHNIQUES or catalogue.find(technique) is not None,
    )


def free_channels(config: Config) -> tuple[str, ...]:
    """The ways to one person that cost nothing: mail, and Slack with a token (a webhook leads to one channel)."""
    named = config.connectors
    return tuple(name for name in ("email", "slack") if name in named and (name != "slack" or named[name].get("token")))


def personal_channels(config: Config) -> tuple[str, ...]:
    """The ways that somebody among the contacts has something of their own for."""
    return tuple(
        name
        for name in ("webhook", "pagerduty")
        if any(name in one.addresses for one in config.roster.contacts.values())
    )


def _personal(config: Config, http: Http, clock: Clock, resolve: Resolve) -> tuple[Messenger, ...]:
    """Their messengers. Raises `ConfigError`."""
    if not personal_channels(config):
        return ()
    from aegis.app.personal import personal

    ways = personal(config, http, clock, resolve)
    return tuple(ways[name] for name in personal_channels(config))


def governed(parts: Parts, governor: Governs, new_id: NewId) -> tuple[Parts, Mapping[str, Messenger]]:
    """The parts with the metered ways behind the governor, those with people to tell by default among the notifiers;
    and every way to one person by the name of its channel (`core.contacts.CHANNELS`).
    """
    ways = [GovernedMessenger(way, governor=governor, new_id=new_id) for way in parts.metered]
    notifiers = (*parts.notifiers, *(way for way in ways if way.recipients))
    return replace(parts, notifiers=notifiers), {way.name: way for way in (*parts.messengers, *parts.personal, *ways)}


def resolved(config: Config, resolve: Resolve) -> dict[str, dict[str, Any]]:
    """The values of every connector that is used, with their secrets. Raises `ConfigError` for one that is missing."""
    return {name: _values(values, resolve) for name, values in config.connectors.items() if name in BUILT}


def _values(values: Mapping[str, Value], resolve: Resolve) -> dict[str, Any]:
    """A connector's values with the secrets resolved; empty ones are left to its defaults."""
    given = {key: value for key, value in values.items() if value not in ("", None)}
    return {key: resolve(value) if isinstance(value, Reference) else value for key, value in given.items()}


def _service_values(service: Service, resolve: Resolve, *, key: str = "key") -> dict[str, Any]:
    """A metered service's key, under the connector's name for it, and its address where it is not the vendor's."""
    assert service.key is not None
    values: dict[str, Any] = {key: resolve(service.key)}
    return values | ({"base_url": service.base_url} if service.base_url else {})


def crash_reports(config: Config, resolve: Resolve) -> CrashReports | None:
    """Where Aegis' own crashes are reported, if anywhere. Raises `ConfigError`."""
    values = _values(config.connectors.get("sentry", {}), resolve)
    if not values.get("crashes"):
        return None
    return CrashReports(values["dsn"], environment=values.get("environment", "production"))


def reporters(config: Config, resolve: Resolve) -> tuple[CrashReports | CallSpans, ...]:
    """Observers that tell somebody outside, through a library of theirs; each is closed at the end. Raises `ConfigError`."""
    return tuple(one for one in (crash_reports(config, resolve), call_spans(config, resolve)) if one is not None)


def call_spans(config: Config, resolve: Resolve) -> CallSpans | None:
    """Who tells a collector of every call, if anybody. Raises `ConfigError`."""
    if (wanted := config.otlp) is None:
        return None
    headers = {name: resolve(reference).reveal() for name, reference in wanted.headers.items()}
    return CallSpans(wanted.endpoint, headers, service=wanted.service, every_ms=wanted.every_ms)


def policies(config: Config) -> Mapping[str, ServicePolicy]:
    """The gates of each service. ATT&CK is a table in memory: caching it would only cost. A default rate is that of
    Aegis' own analysis: a service that programs reach through the gateway has only the rate that somebody wrote.
    """
    found: dict[str, ServicePolicy] = {"attack": ServicePolicy(cache_ms=0)}
    reached = {upstream.service for upstream in config.gateway.upstreams}
    for name, service in config.services.items():
        shared = name in reached and config.origin(f"services.{name}.rate") == "default"
        rates = (service.rate,) if service.rate and not shared else ()
        written = config.origin(f"services.{name}.cache") != "default"
        keep_ms = FINDING_MS if name == "virustotal" and not written else service.cache_ms
        found[name] = ServicePolicy(
            rates=rates, breaker=service.breaker, cache_ms=keep_ms, waiting_max=service.waiting_max
        )
    return found


def quotas(config: Config) -> tuple[Budget, ...]:
    """Budgets that hold unless the configuration has one of the same scope: VirusTotal's quota, and the money for
    messages and calls to people.
    """
    return (*_lookups(config), *_alarms(config))


def _alarms(config: Config) -> tuple[Budget, ...]:
    """The small budget of its own that messages to people have: nothing wider covers them (`Call.alarm`)."""
    scope = {"service": "twilio"}
    if "twilio" not in config.connectors or any(dict(budget.scope) == scope for budget in config.budgets):
        return ()
    amounts = Amounts(window=WindowPolicy(kind="day"), emergency=ALARMS_A_DAY)
    return (Budget(name="alarms", windows=(amounts,), scope=scope, reserve={Priority.CRITICAL: ALARMS_CRITICAL_SHARE}),)


def _lookups(config: Config) -> tuple[Budget, ...]:
    """VirusTotal's daily quota as a budget on `requests`, counted durably, unless a budget says something else."""
    scope = {"service": "virustotal"}
    if any(budget.scope == scope and budget.unit == "requests" for budget in config.budgets):
        return ()
    amounts = Amounts(window=WindowPolicy(kind="day"), emergency=VIRUSTOTAL_A_DAY)
    share = {Priority.CRITICAL: CRITICAL_SHARE}
    return (Budget(name="virustotal", windows=(amounts,), scope=scope, unit="requests", reserve=share),)


def private_hosts(config: Config, resolve: Resolve) -> frozenset[str]:
    """Hosts of connectors whose configuration says that they stand on a private address (`allow_private`)."""
    hosts: set[str] = set()
    for name, values in config.connectors.items():
        if name in BUILT:
            hosts |= registry.private_hosts(registry.load(name).Config(**_values(values, resolve)))
    if (oidc := config.accounts.oidc) is not None and oidc.allow_private:
        hosts.add(urlsplit(oidc.issuer).hostname or "")
    return frozenset(hosts)


def trust(config: Config, resolve: Resolve) -> Mapping[str, ssl.SSLContext]:
    """The authorities of hosts whose connectors name a `ca_file`. Raises `ConfigError` for one that cannot be used."""
    found: dict[str, ssl.SSLContext] = {}
    for name, values in config.connectors.items():
        if name not in BUILT or not (file := str(values.get("ca_file") or "")):
            continue
        try:
            context = ssl.create_default_context(cafile=file)
            context.set_alpn_protocols(["http/1.1"])
        except OSError as error:  # missing, unreadable, or no certificate in it
            raise ConfigError(f"connectors.{name}: ca_file {file} holds no certificate that can be read") from error
        found |= dict.fromkeys(registry.hosts(registry.load(name).Config(**_values(values, resolve))), context)
    return found


def used_names(parts: Parts) -> tuple[str, ...]:
    """The services that this Aegis uses, in the order in which people are shown them."""
    names = [notifier.name for notifier in parts.notifiers]
    names += [way.name for way in parts.metered if way.recipients]
    names += [enricher.name for enricher in parts.enrichers]
    names += [parts.analyst.name] if parts.analyst else []
    return tuple(dict.fromkeys(names))
