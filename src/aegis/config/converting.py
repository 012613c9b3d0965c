"""From the sections as written to the settings as used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from aegis.config.people import roster
from aegis.config.reach import reach
from aegis.config.reconciling import reconciling
from aegis.config.sections.aws import AwsAccountSection
from aegis.config.sections.budgets import BudgetSection, Levels, Rolling, ThrottleSection, Windows
from aegis.config.sections.gateway import GatewaySection, UpstreamSection
from aegis.config.sections.people import ContactSection, InhibitionSection
from aegis.config.sections.reports import WeeklySection
from aegis.config.sections.root import (
    AccountsSection,
    AnomaliesSection,
    BackupSection,
    EmergencySection,
    HeartbeatSection,
    PriceSection,
    RootSection,
    RouteSection,
)
from aegis.config.sections.services import BreakerSection, ServiceSection
from aegis.config.sections.telemetry import OtlpSection
from aegis.config.settings import (
    AccountSettings,
    AwsSettings,
    BackupSettings,
    Config,
    Detecting,
    EmergencySettings,
    GatewaySettings,
    HeartbeatSettings,
    Oidc,
    OtlpSettings,
    Privacy,
    Proxy,
    SandboxSettings,
    SecretsKey,
    Server,
    Service,
    Store,
    Upstream,
    Value,
    WeeklySettings,
)
from aegis.core.anomalies import AnomalyPolicy
from aegis.core.breakers import BreakerPolicy
from aegis.core.budgets import LEVELS, Amounts, Budget
from aegis.core.calls import Priority
from aegis.core.matching import Team
from aegis.core.prices import Price
from aegis.core.references import Reference
from aegis.core.schedules import DAYS
from aegis.core.silences import Inhibition
from aegis.core.throttles import ThrottleCurve
from aegis.core.windows import WindowKind, WindowPolicy
from aegis.incidents.pseudonyms import PersonalKind
from aegis.incidents.routing import Route

_KINDS: Mapping[str, WindowKind] = {"daily": "day", "weekly": "week", "monthly": "month", "rolling": "rolling"}


def settings(root: RootSection) -> Config:
    """The settings of a checked configuration, without what only its sources know (entries, files, warnings)."""
    host, _, port = root.server.listen.rpartition(":")
    sandbox_host, _, sandbox_port = root.sandbox.listen.rpartition(":")
    key_file, pseudonyms = root.secrets.key_file, root.privacy.pseudonyms
    return Config(
        server=Server(host=host.strip("[]"), port=int(port), public_url=(root.server.public_url or "").rstrip("/")),
        store=Store(file=root.store.url.removeprefix("sqlite:"), answers_bytes=root.store.answers_mb * 1_048_576),
        budgets=_budgets(root),
        actions={level: tuple(getattr(root.actions, level)) for level in LEVELS},
        services={name: _service(name, section) for name, section in _sections(root.services)},
        connectors=_metered(root) | {name: _connector(section) for name, section in _sections(root.connectors)},
        routes=tuple(_route(route) for route in root.routes),
        fallback={service: tuple(others) for service, others in root.fallback.items()},
        roster=roster(root.contacts, root.rotations, root.escalation.chains, root.escalation.bridge),
        teams=tuple(Team(name=name, matchers=tuple(matchers)) for name, matchers in root.teams.items()),
        inhibitions=tuple(_inhibition(section) for section in root.inhibitions),
        heartbeat=_heartbeat(root.heartbeat) if root.heartbeat else None,
        backup=_backup(root.backup) if root.backup else None,
        weekly=_weekly(root.reports.weekly) if root.reports.weekly else None,
        otlp=_otlp(root.telemetry.otlp) if root.telemetry.otlp else None,
        audit_file=Path(root.audit.file).expanduser() if root.audit.file else None,
        accounts=_accounts(root.accounts),
        inbound={name: _connector(section) for name, section in _sections(root.inbound)},
        emergency=_emergency(root.emergency),
        reconcile=reconciling(root.reconcile),
        aws=_aws(root.aws, root.contacts),
        anomalies=_anomalies(root.anomalies),
        detection=Detecting(
            rules=tuple(Path(folder).expanduser() for folder in root.detection.rules),
            shipped=root.detection.shipped,
            off=frozenset(root.detection.off),
            stop_list=frozenset(name.lower() for name in root.detection.stop_list),
        ),
        privacy=Privacy(kinds=frozenset(kind for kind in get_args(PersonalKind) if getattr(pseudonyms, kind))),
        retention_days=dict(root.retention),
        prices={key: price for name, section in root.prices.items() for key, price in [_price(name, section)]},
        secrets=SecretsKey(
            credential=root.secrets.credential,
            key_file=Path(key_file).expanduser() if key_file else None,
            passphrase=root.secrets.passphrase,
        ),
        gateway=_gateway(root.gateway),
        sandbox=SandboxSettings(host=sandbox_host.strip("[]"), port=int(sandbox_port), seed=root.sandbox.seed),
    )


def _anomalies(section: AnomaliesSection) -> AnomalyPolicy:
    return AnomalyPolicy(
        on=section.on,
        detectors=frozenset(section.detectors),
        least=section.at_least_usd,
        every_ms=section.every,
        quiet_ms=section.quiet,
    )


_VENDORS: Mapping[str, str] = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com"}
_Kind = Literal["anthropic", "openai", "bedrock"]
_OWN_KINDS: Mapping[str, _Kind] = {"anthropic": "anthropic", "bedrock": "bedrock"}
_AUTHS: Mapping[str, Literal["x-api-key", "bearer", "sigv4"]] = {
    "anthropic": "x-api-key",
    "openai": "bearer",
    "bedrock": "sigv4",
}
AWS_REGION = "us-east-1"
"""Where AWS' own tools ask when nobody says where."""


def _gateway(section: GatewaySection) -> GatewaySettings:
    return GatewaySettings(
        upstreams=tuple(_upstream(name, one) for name, one in section.upstreams.items()),
        output_tokens=section.output_tokens,
        drains=section.drains,
        fallback={pattern: tuple(models) for pattern, models in section.fallback.items()},
    )


def _upstream(name: str, section: UpstreamSection) -> Upstream:
    kind: _Kind = section.kind or _OWN_KINDS.get(name, "openai")
    region = section.region or AWS_REGION
    own = f"https://bedrock-runtime.{region}.amazonaws.com" if kind == "bedrock" else _VENDORS[kind]
    return Upstream(
        name=name,
        kind=kind,
        base_url=(section.base_url or own).rstrip("/"),
        key=section.key,
        auth=section.auth or _AUTHS[kind],
        service=section.service or name,
        models=tuple(section.models),
        allow_fields=frozenset(section.allow_fields),
        allow_private=section.allow_private,
        connections=section.connections,
        cache=section.cache,
        region=region,
        api_version=section.api_version or "",
        responses=section.responses,
        vendor=(section.service or name) == kind,
    )


def _emergency(section: EmergencySection) -> EmergencySettings:
    return EmergencySettings(
        preauthorised=tuple(section.preauthorised),
        step_ms=section.step,
        calls=section.calls,
        reach=reach(section.processes, section.docker, section.kubernetes, section.credentials),
    )


def _aws(section: AwsAccountSection, contacts: Mapping[str, ContactSection]) -> AwsSettings:
    asked = section.notify
    people = {
        str(one.email)
        for name, one in contacts.items()
        if one.email and ({name, *one.roles} & set(asked) if asked else one.tier == "primary")
    }
    return AwsSettings(
        prefix=section.prefix,
        region=section.region,
        mails=tuple(sorted(people | {word for word in asked if "@" in word})),
        topics=tuple(section.topics),
        cost_services={name: tuple(names) for name, names in section.cost_services.items()},
        base_url=section.base_url or "",
    )


def _sections(parent: object) -> list[tuple[str, ServiceSection]]:
    return [(name, section) for name, section in parent if section is not None]  # type: ignore[attr-defined]


def _budgets(root: RootSection) -> tuple[Budget, ...]:
    budgets = [_budget(name, section) for name, section in root.budgets.items()]
    if root.budget_thresholds:
        windows = _windows(root.budget_thresholds, zone="UTC", week_start=0)
        budgets.insert(0, Budget(name="everything", windows=windows))
    return tuple(budgets)


def _budget(name: str, section: BudgetSection) -> Budget:
    return Budget(
        name=name,
        windows=_windows(section, zone=section.timezone, week_start=section.week_starts_on),
        scope=section.scope,
        unit=section.meter,
        observe=section.mode == "observe",
        reserve={Priority[severity]: share for severity, share in section.reserve.items()},
        throttle=_throttle(section.throttle) if section.throttle else None,
    )


def _windows(section: Windows, *, zone: str, week_start: int) -> tuple[Amounts, ...]:
    found: list[Amounts] = []
    for name, kind in _KINDS.items():
        levels: Levels | None = getattr(section, name)
        if levels is None:
            continue
        policy = WindowPolicy(kind=kind, zone=zone, week_start=week_start)
        if isinstance(levels, Rolling):
            policy = WindowPolicy(kind=kind, zone=zone, week_start=week_start, span_ms=levels.span)
        found.append(
            Amounts(window=policy, emergency=levels.emergency, warning=levels.warning, critical=levels.critical)
        )
    return tuple(found)


def _throttle(section: ThrottleSection) -> ThrottleCurve:
    return ThrottleCurve(
        light=section.light,
        moderate=section.moderate,
        heavy=section.heavy,
        block=section.block,
        light_ms=section.light_delay,
        moderate_ms=section.moderate_delay,
        heavy_ms=section.heavy_delay,
    )


def _service(name: str, section: ServiceSection) -> Service:
    models = getattr(section, "models", None)
    special = {"region", "profile", "workgroup"}
    return Service(
        name=name,
        key=section.key,
        admin_key=getattr(section, "admin_key", None),
        base_url=(section.base_url or "").rstrip("/"),
        rate=section.rate,
        breaker=_breaker(section.breaker),
        models={part: model for part, model in models if model} if models else {},
        cache_ms=section.cache,
        waiting_max=section.queue,
        allow_private=section.allow_private,
        options={key: value for key, value in section if key in special and value},
    )


def _breaker(section: BreakerSection) -> BreakerPolicy:
    return BreakerPolicy(
        failures=section.failures,
        recovery_ms=section.recovery,
        failure_percent=section.failure_percent,
        volume=section.volume,
        span_ms=section.span,
        cost=section.cost,
        cost_span_ms=section.cost_span,
    )


def _metered(root: RootSection) -> dict[str, Mapping[str, Value]]:
    """The metered services that Aegis itself asks, as connectors: those with a key."""
    anthropic, virustotal = root.services.anthropic, root.services.virustotal
    found: dict[str, Mapping[str, Value]] = {}
    if anthropic.key and anthropic.base_url:
        private = {"allow_private": anthropic.allow_private}
        found["anthropic"] = {"key": anthropic.key, "base_url": anthropic.base_url, **private}
    if virustotal.key and virustotal.base_url:
        found["virustotal"] = {"api_key": virustotal.key, "base_url": virustotal.base_url}
    return found


def _connector(section: object) -> Mapping[str, Value]:
    """The values of a connector, without those that were left out."""
    values: dict[str, Value] = {}
    for key, value in section:  # type: ignore[attr-defined]
        if isinstance(value, list):
            values[key] = tuple(value)
        elif isinstance(value, str | int | bool | Reference):
            values[key] = value
    return values


def _route(section: RouteSection) -> Route:
    when = section.when.condition()
    return Route(
        to=tuple(section.to),
        severities=when.severities,
        services=when.services,
        tags=when.tags,
        kinds=frozenset(section.when.kind),
        teams=when.teams,
        times=when.times,
        instead=section.instead,
        last=not section.go_on,
    )


def _inhibition(section: InhibitionSection) -> Inhibition:
    return Inhibition(
        name=section.name, source=tuple(section.source), target=tuple(section.target), equal=tuple(section.equal)
    )


def _heartbeat(section: HeartbeatSection) -> HeartbeatSettings:
    return HeartbeatSettings(url=section.url, every_ms=section.every, grace_ms=section.grace)


def _backup(section: BackupSection) -> BackupSettings:
    to = Path(section.to).expanduser()
    return BackupSettings(every_ms=section.every, keep=section.keep, to=to, passphrase=section.passphrase)


def _weekly(section: WeeklySection) -> WeeklySettings:
    weekday = DAYS.index(section.day[:3])
    return WeeklySettings(to=tuple(section.to), weekday=weekday, minute=section.at, zone=section.zone)


def _otlp(section: OtlpSection) -> OtlpSettings:
    return OtlpSettings(
        endpoint=section.endpoint.rstrip("/"),
        headers=dict(section.headers),
        service=section.service,
        every_ms=section.every,
    )


def _price(name: str, section: PriceSection) -> tuple[tuple[str, str], Price]:
    service, _, model = name.partition("/")
    rates = {meter: ((0, rate),) for meter, rate in (section.model_extra or {}).items()}
    price = Price(service=service, model=model, rates=rates, since=section.since or date.min, source="configuration")
    return (service, model), price


def _accounts(section: AccountsSection) -> AccountSettings:
    proxy, oidc = section.proxy, section.oidc
    return AccountSettings(
        session_ms=section.session,
        two_people_above=section.two_people_above_usd,
        proxy=None
        if proxy is None
        else Proxy(
            addresses=tuple(proxy.addresses),
            user=proxy.user,
            groups=proxy.groups,
            roles=proxy.roles,
            default=proxy.default,
        ),
        oidc=None
        if oidc is None
        else Oidc(
            issuer=oidc.issuer,
            client_id=oidc.client_id,
            client_secret=oidc.client_secret,
            scopes=tuple(oidc.scopes),
            name_claim=oidc.name_claim,
            groups_claim=oidc.groups_claim,
            roles=oidc.roles,
            default=oidc.default,
            allow_private=oidc.allow_private,
        ),
    )
