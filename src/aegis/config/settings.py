"""The configuration as the rest of Aegis reads it: frozen, checked, in the core's own words and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from aegis.config.reach import Reach
from aegis.config.reconciling import ReconcileSettings
from aegis.core.anomalies import AnomalyPolicy
from aegis.core.breakers import BreakerPolicy
from aegis.core.buckets import Rate
from aegis.core.budgets import Budget, Level
from aegis.core.escalations import Roster
from aegis.core.matching import Team
from aegis.core.prices import Price
from aegis.core.references import Reference
from aegis.core.roles import RoleName
from aegis.core.silences import Inhibition
from aegis.incidents.pseudonyms import PersonalKind
from aegis.incidents.routing import Route

Value: TypeAlias = str | int | bool | tuple[str, ...] | Reference
"""One value of a connector's configuration; a secret is a `Reference` until it is resolved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where Aegis listens; `public_url` is empty when people reach it by that address."""

    host: str
    port: int
    public_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The store's file, as written: a relative one stands in the state folder. `answers_bytes` bounds the answers that
    are kept in memory to be used again.
    """

    file: str
    answers_bytes: int = 64 * 1_048_576

    def path(self, home: Path) -> Path:
        return home / Path(self.file).expanduser()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A metered service. `models` maps a part (triage, analysis, deep) to a model; `base_url` is empty for the
    vendor's own; `cache_ms` 0 never answers from the cache; `options` holds what only this service has (region,
    profile, workgroup).
    """

    name: str
    key: Reference | None
    admin_key: Reference | None
    base_url: str
    rate: Rate | None
    breaker: BreakerPolicy
    models: Mapping[str, str]
    cache_ms: int
    waiting_max: int
    allow_private: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A vendor that programs reach through the gateway. `vendor` says that it is the vendor itself, at its own
    address or a stand-in of it; `models` are patterns.
    """

    name: str
    kind: Literal["anthropic", "openai", "bedrock"]
    base_url: str
    key: Reference | None
    auth: Literal["x-api-key", "bearer", "api-key", "sigv4"]
    service: str
    models: tuple[str, ...] = ()
    allow_fields: frozenset[str] = frozenset()
    allow_private: bool = False
    connections: int = 512
    vendor: bool = False
    cache: str = "never"
    region: str = ""
    api_version: str = ""
    """Of Azure's dated API, which has the model's deployment in its path."""
    responses: bool = True
    """Whether a server of OpenAI's kind has /v1/responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The gateway; without upstreams there is none."""

    upstreams: tuple[Upstream, ...] = ()
    output_tokens: int = 4_096
    drains: int = 64
    fallback: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pattern of a model, and the models that answer in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detecting:
    """Which rules are used, and which names (lower case) never link two incidents."""

    rules: tuple[Path, ...]
    shipped: bool
    off: frozenset[str]
    stop_list: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Kinds of personal data that get a pseudonym in prompts."""

    kinds: frozenset[PersonalKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsKey:
    """Where the key that opens the encrypted store comes from."""

    credential: str
    key_file: Path | None
    passphrase: Reference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    host: str
    port: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSettings:
    """Where a sign of life is sent, how often, and how late a part may be, in milliseconds."""

    url: Reference
    every_ms: int
    grace_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencySettings:
    """Which targets need no second person, and what each step of a return has to show at least."""

    preauthorised: tuple[str, ...] = ()
    step_ms: int = 300_000
    calls: int = 50
    reach: Reach = field(default_factory=Reach)
    """What a stop reaches outside of Aegis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """What is kept in step at AWS. `mails` are who AWS Budgets tells; `region` and `base_url` are empty for none given."""

    prefix: str = "aegis"
    region: str = ""
    mails: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    cost_services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    base_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """Backups by the clock. `to` is as written: a relative folder stands in the state folder."""

    every_ms: int
    keep: int
    to: Path
    passphrase: Reference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklySettings:
    """The weekly mail: `weekday` from Monday (0), `minute` after midnight in `zone`; no `to` means the connector's own."""

    to: tuple[str, ...]
    weekday: int
    minute: int
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpSettings:
    """A collector of OpenTelemetry's, without the paths of its signals."""

    endpoint: str
    headers: Mapping[str, Reference]
    service: str
    every_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that signs people in: where it connects from, its headers, the roles of groups (`default` of none)."""

    addresses: tuple[str, ...]
    user: str
    groups: str
    roles: Mapping[str, RoleName]
    default: RoleName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc:
    """An OpenID Connect issuer that signs people in."""

    issuer: str
    client_id: str
    client_secret: Reference | None
    scopes: tuple[str, ...]
    name_claim: str
    groups_claim: str
    roles: Mapping[str, RoleName]
    default: RoleName | None
    allow_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """How long a session lasts; the amount (nano-dollars) above which a budget needs a second person (None: never)."""

    session_ms: int = 12 * 3_600_000
    two_people_above: int | None = None
    proxy: Proxy | None = None
    oidc: Oidc | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether people may be signed in by something else than local accounts."""
        return self.proxy is not None or self.oidc is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value as it is in force: as text, and where it was written (`default` when nowhere)."""

    path: str
    text: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. `connectors` holds the values of each connector that is used, by the names of its own
    `Config`: those of the section `connectors`, and the metered services that have a key. `entries` are all values in force, in the order of the sections; `files` are the files
    that were read, the weakest first; `warnings` are sentences about what is allowed and probably not meant.
    """

    server: Server
    store: Store
    budgets: tuple[Budget, ...]
    actions: Mapping[Level, tuple[str, ...]]
    services: Mapping[str, Service]
    connectors: Mapping[str, Mapping[str, Value]]
    routes: tuple[Route, ...]
    fallback: Mapping[str, tuple[str, ...]]
    detection: Detecting
    privacy: Privacy
    retention_days: Mapping[str, int]
    prices: Mapping[tuple[str, str], Price]
    secrets: SecretsKey
    gateway: GatewaySettings
    sandbox: SandboxSettings
    inbound: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """The senders of webhooks that are taken, each with its secrets and options."""
    roster: Roster = field(default_factory=Roster)
    """Contacts, rotations and chains; which channels can be used is known when the connectors are built."""
    teams: tuple[Team, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    heartbeat: HeartbeatSettings | None = None
    backup: BackupSettings | None = None
    weekly: WeeklySettings | None = None
    otlp: OtlpSettings | None = None
    audit_file: Path | None = Path("audit.jsonl")
    """As written: a relative one stands in the state folder."""
    accounts: AccountSettings = field(default_factory=AccountSettings)
    emergency: EmergencySettings = field(default_factory=EmergencySettings)
    aws: AwsSettings = field(default_factory=AwsSettings)
    anomalies: AnomalyPolicy = field(default_factory=AnomalyPolicy)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def origin(self, path: str) -> str:
        """Where the value at `path` (`budgets.everything.daily.emergency`) was written; `default` when nowhere."""
        return next((entry.origin for entry in self.entries if entry.path == path), "default")

    def references(self) -> Mapping[str, Reference]:
        """Every secret that is referred to, by the path of the value that does."""
        return {
            entry.path: reference for entry in self.entries if (reference := self._reference_at(entry.path)) is not None
        }

    def _reference_at(self, path: str) -> Reference | None:
        match path.split("."):
            case ["services", name, ("key" | "admin_key") as which]:
                service = self.services[name]
                return service.key if which == "key" else service.admin_key
            case ["gateway", "upstreams", name, "key"]:
                return next((one.key for one in self.gateway.upstreams if one.name == name), None)
            case ["connectors", name, key] if isinstance(value := self.connectors[name].get(key), Reference):
                return value
            case ["inbound", name, key] if isinstance(value := self.inbound[name].get(key), Reference):
                return value
            case ["heartbeat", "url"] if self.heartbeat is not None:
                return self.heartbeat.url
            case ["backup", "passphrase"] if self.backup is not None:
                return self.backup.passphrase
            case ["telemetry", "otlp", "headers", name] if self.otlp is not None:
                return self.otlp.headers.get(name)
            case ["emergency", *below]:
                return self.emergency.reach.reference_at(below)
            case ["secrets", "passphrase"]:
                return self.secrets.passphrase
        return None
