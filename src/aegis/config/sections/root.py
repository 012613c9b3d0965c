"""All of `aegis.yaml`: the sections that need few words, and the whole."""

from __future__ import annotations

import re
from datetime import date
from ipaddress import ip_network
from typing import Annotated

from pydantic import ConfigDict, Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from aegis.config.people import wrong_names
from aegis.config.problems import unknown
from aegis.config.sections.aws import AwsAccountSection
from aegis.config.sections.budgets import ActionsSection, BudgetSection, Windows
from aegis.config.sections.connectors import ConnectorsSection
from aegis.config.sections.gateway import GatewaySection
from aegis.config.sections.inbound import InboundSection
from aegis.config.sections.kinds import Address, Days, Duration, Listen, Money, SecretRef, Section, Words, written
from aegis.config.sections.people import (
    NAME,
    ContactSection,
    EscalationSection,
    InhibitionSection,
    Matches,
    RotationSection,
)
from aegis.config.sections.reach import CredentialsSection, DockerSection, KubernetesSection, ProcessesSection
from aegis.config.sections.reconcile import ReconcileSection
from aegis.config.sections.reports import ReportsSection
from aegis.config.sections.services import ServicesSection
from aegis.config.sections.telemetry import TelemetrySection
from aegis.config.sections.when import WhenSection
from aegis.core.anomalies import DETECTORS, Detector
from aegis.core.roles import RoleName

NOT_TOLD = ("attack", "twilio", "cloudwatch")
"""Connectors that no route can name: Twilio's two ways have names of their own, CloudWatch takes metrics only."""
TOLD = (*(name for name in ConnectorsSection.model_fields if name not in NOT_TOLD), "sms", "phone")
"""The services a route can name."""


HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"


class ServerSection(Section):
    """Where Aegis listens."""

    listen: Listen = written("127.0.0.1:8787")
    """host:port of the gateway, API, dashboard and /metrics."""
    public_url: Address | None = None
    """The address people reach the dashboard by: links in messages begin with it."""


class StoreSection(Section):
    """Where everything that Aegis keeps stands."""

    url: str = Field(default="sqlite:aegis.db", pattern=r"^sqlite:.+$")
    """`sqlite:FILE`; a relative file stands in the state folder."""
    answers_mb: int = Field(default=64, ge=1, le=4_096)
    """Megabytes of answers kept in memory to be used again; the least recently used make room."""


class RouteSection(Section):
    """Services that are told beside, or instead of, the usual ones."""

    model_config = ConfigDict(populate_by_name=True)

    when: WhenSection = Field(default_factory=WhenSection)
    to: Words = Field(min_length=1)
    """Services that are told when it fits."""
    instead: bool = False
    """Whether the usual services are not told then, unless a route names them."""
    go_on: bool = Field(default=True, alias="continue")
    """Whether the routes after this one are looked at as well when it fits."""

    @field_validator("to")
    @classmethod
    def _services_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in TOLD:
                raise ValueError(f"has {name}, which {unknown(name, TOLD, what='service')}")
        return value


class DetectionSection(Section):
    """Which rules look at events."""

    rules: Words = Field(default_factory=list)
    """Folders of Sigma rules, beside the shipped ones."""
    shipped: bool = True
    """Whether the rules that come with Aegis are used."""
    off: Words = Field(default_factory=list)
    """Ids of rules that are not used."""
    stop_list: Words = Field(default_factory=list)
    """Names that never link two incidents: gateways, scanners, service accounts (10.0.0.1, jump-1, svc-backup)."""


class EmergencySection(Section):
    """What an emergency stop may do by itself, and how its return goes."""

    preauthorised: Words = Field(default_factory=list)
    """Kinds of targets (`docker`, `anthropic-keys`), or single ones (`docker:7f3a`), that need no second person and that
    a budget's `disable_keys` may stop; without them it reaches our own keys only."""
    step: Duration = written("5m")
    """How long each step of a return lasts at least."""
    calls: int = Field(default=50, ge=1, le=1_000_000)
    """How many calls each step has to see."""
    processes: ProcessesSection = Field(default_factory=ProcessesSection)
    docker: DockerSection | None = None
    kubernetes: KubernetesSection | None = None
    credentials: CredentialsSection = Field(default_factory=CredentialsSection)

    @field_validator("preauthorised")
    @classmethod
    def _targets_have_a_kind(cls, value: list[str]) -> list[str]:
        for word in value:
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}(:.{1,256})?", word):
                raise ValueError(f"has {word[:64]}, which is no kind of target and no KIND:ID")
        return value


class AnomaliesSection(Section):
    """The watch for spending that is not as usual; each finding opens one incident that names what drives it."""

    on: bool = True
    """Whether it is looked at all."""
    detectors: list[Detector] = Field(default_factory=lambda: list(DETECTORS))
    """`mad` (a jump) and `burn` (a budget going fast) page, `cusum` (a leak, a creep) opens a ticket."""
    at_least_usd: Money = written("0.50")
    """Dollars an hour below which nothing is an anomaly."""
    every: Duration = written("1m")
    """How often it is looked."""
    quiet: Duration = written("6h")
    """After so long without an alarm an anomaly is over; only then the next one is told."""


class HeartbeatSection(Section):
    """A sign of life, sent while everything works: whoever waits for it raises the alarm when it stays out."""

    url: SecretRef
    """Where it is sent (POST): a check of a healthchecks-like service. Whoever knows the address can fake it."""
    every: Duration = written("60s")
    """How often it is sent."""
    grace: Duration = written("30s")
    """How long a part of Aegis may be late before it counts as stuck."""


class BackupSection(Section):
    """Backups by the clock, made while Aegis runs."""

    every: Duration = written("24h")
    """How old the newest backup may become before the next one is made."""
    keep: int = Field(default=14, ge=1, le=10_000)
    """How many are kept: the newest ones."""
    to: str = Field(default="backups", min_length=1)
    """The folder they are written to; a relative one stands in the state folder. Better: another disk."""
    passphrase: SecretRef | None = None
    """What locks them; without it the key of the encrypted store (`secrets`)."""


class AuditSection(Section):
    """The audit log."""

    file: str | None = "audit.jsonl"
    """Where every entry is written too; a relative one stands in the state folder, null writes none."""


class ProxySection(Section):
    """People who a proxy in front of Aegis has signed in: its headers count when they come from its addresses."""

    addresses: Words = Field(min_length=1)
    """Where the proxy connects from: addresses or ranges (10.0.0.7, 10.1.0.0/24). Nobody else may be there."""
    user: str = Field(default="X-Forwarded-User", pattern=HEADER)
    """The header with the person's name."""
    groups: str = Field(default="X-Forwarded-Groups", pattern=HEADER)
    """The header with the person's groups, with commas between them."""
    roles: dict[str, RoleName] = Field(default_factory=dict)
    """The role of each group; of several the widest."""
    default: RoleName | None = None
    """The role of a person in none of these groups; null: such a person stays out."""

    @field_validator("addresses")
    @classmethod
    def _addresses_are_ranges(cls, value: list[str]) -> list[str]:
        for one in value:
            ip_network(one)
        return value


class OidcSection(Section):
    """Sign-in at an OpenID Connect issuer: authorization code with PKCE."""

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$", max_length=500)
    """The issuer, exactly as its tokens name it."""
    client_id: str = Field(min_length=1, max_length=300)
    """What the issuer calls this Aegis."""
    client_secret: SecretRef | None = None
    """Null for a public client."""
    scopes: Words = Field(default_factory=lambda: ["profile", "email"])
    """What is asked for beside `openid`."""
    name_claim: str = "preferred_username"
    """The claim that names the person."""
    groups_claim: str = "groups"
    """The claim that lists the person's groups."""
    roles: dict[str, RoleName] = Field(default_factory=dict)
    """The role of each group; of several the widest."""
    default: RoleName | None = None
    """The role of a person in none of these groups; null: such a person stays out."""
    allow_private: bool = False
    """Whether the issuer may stand on a private address."""


class AccountsSection(Section):
    """Local accounts; there are none until `aegis account add`."""

    session: Duration = written("12h")
    """How long a sign-in to the dashboard lasts."""
    proxy: ProxySection | None = None
    oidc: OidcSection | None = None
    two_people_above_usd: Money | None = None
    """Setting a budget's amount above this waits for a second person; null: never."""


class PseudonymsSection(Section):
    """What stands under a stable pseudonym in prompts and is put back in the answer."""

    email: bool = True
    """E-mail addresses."""
    card: bool = True
    """Numbers of payment cards."""
    name: bool = True
    """Given names."""
    user: bool = False
    """User names."""
    address: bool = False
    """Network addresses."""


class PrivacySection(Section):
    """What leaves for a model under another name."""

    pseudonyms: PseudonymsSection = Field(default_factory=PseudonymsSection)


class RetentionSection(Section):
    """How long each kind of record is kept."""

    events: Days = written("7d")
    """Events that were worked."""
    deliveries: Days = written("30d")
    """Messages that arrived."""
    dead_letters: Days = written("365d")
    """Messages that were given up."""
    incidents: Days = written("365d")
    """Incidents to which nothing happened since."""
    set_aside: Days = written("30d")
    """Lines that could not be read."""


class PriceSection(Section):
    """USD per million units, by meter; 0 is free."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Money]
    since: date | None = None
    """The first day it holds."""


class SecretsSection(Section):
    """Where the key comes from that opens the encrypted store. A systemd credential of the name wins."""

    credential: str = Field(default="aegis-secrets-key", pattern=r"^[A-Za-z0-9._-]{1,128}$")
    """Name of the systemd credential."""
    key_file: str | None = Field(default=None, pattern=r"^(/|~/|[A-Za-z]:).+$")
    """A file of mode 0600 outside the state folder."""
    passphrase: SecretRef | None = None
    """A reference to words from which the key is made."""


class SandboxSection(Section):
    """The stand-in for every outside service."""

    listen: Listen = written("127.0.0.1:8788")
    """host:port of `aegis sandbox`."""
    seed: int = Field(default=7, ge=0)
    """What its made-up answers are drawn from: the same seed, the same answers."""


class RootSection(Section):
    """Aegis' configuration. Every section may be left out."""

    server: ServerSection = Field(default_factory=ServerSection)
    store: StoreSection = Field(default_factory=StoreSection)
    budgets: dict[str, BudgetSection] = Field(default_factory=dict)
    budget_thresholds: Windows | None = None
    """A short way to write the budget `everything`, which covers all calls."""
    actions: ActionsSection = Field(default_factory=ActionsSection)
    services: ServicesSection = Field(default_factory=ServicesSection)
    gateway: GatewaySection = Field(default_factory=GatewaySection)
    connectors: ConnectorsSection = Field(default_factory=ConnectorsSection)
    routes: list[RouteSection] = Field(default_factory=list)
    fallback: dict[str, Words] = Field(default_factory=dict)
    """Who is told when a service has not taken a page for a minute: `pagerduty: [email, slack]`. Of itself PagerDuty is
    stood in for by the first configured of slack, teams, discord and email; an empty list names nobody."""
    inbound: InboundSection = Field(default_factory=InboundSection)
    contacts: dict[Annotated[str, Field(pattern=NAME)], ContactSection] = Field(default_factory=dict)
    """People who can be told alone, by name."""
    rotations: dict[Annotated[str, Field(pattern=NAME)], RotationSection] = Field(default_factory=dict)
    """Who is on call, in turn."""
    teams: dict[Annotated[str, Field(pattern=NAME)], Matches] = Field(default_factory=dict)
    """Which incidents are whose: matchers that must all hold."""
    escalation: EscalationSection = Field(default_factory=EscalationSection)
    inhibitions: list[InhibitionSection] = Field(default_factory=list, max_length=100)
    heartbeat: HeartbeatSection | None = None
    aws: AwsAccountSection = Field(default_factory=AwsAccountSection)
    emergency: EmergencySection = Field(default_factory=EmergencySection)
    anomalies: AnomaliesSection = Field(default_factory=AnomaliesSection)
    reconcile: ReconcileSection = Field(default_factory=ReconcileSection)
    backup: BackupSection | None = None
    reports: ReportsSection = Field(default_factory=ReportsSection)
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection)
    audit: AuditSection = Field(default_factory=AuditSection)
    accounts: AccountsSection = Field(default_factory=AccountsSection)
    detection: DetectionSection = Field(default_factory=DetectionSection)
    privacy: PrivacySection = Field(default_factory=PrivacySection)
    retention: RetentionSection = Field(default_factory=RetentionSection)
    prices: dict[str, PriceSection] = Field(default_factory=dict)
    secrets: SecretsSection = Field(default_factory=SecretsSection)
    sandbox: SandboxSection = Field(default_factory=SandboxSection)

    @field_validator("escalation")
    @classmethod
    def _people_are_known(cls, value: EscalationSection, info: ValidationInfo) -> EscalationSection:
        contacts, rotations = info.data.get("contacts"), info.data.get("rotations")
        if contacts is None or rotations is None:
            return value  # told already
        if wrong := wrong_names(contacts, rotations, value.chains):
            raise ValueError(wrong)
        return value

    @field_validator("aws")
    @classmethod
    def _subscribers_are_known(cls, value: AwsAccountSection, info: ValidationInfo) -> AwsAccountSection:
        contacts = info.data.get("contacts") or {}
        known = {*contacts, *(role for one in contacts.values() for role in one.roles)}
        for word in value.notify:
            if "@" not in word and word not in known:
                raise ValueError(f"must notify addresses, contacts or roles; there is no {word[:64]}")
        return value

    @field_validator("fallback")
    @classmethod
    def _stand_ins_are_known(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name in (*value, *(other for others in value.values() for other in others)):
            if name not in TOLD:
                raise ValueError(f"has {name}, which {unknown(name, TOLD, what='service')}")
        return value

    @field_validator("budget_thresholds")
    @classmethod
    def _everything_is_written_once(cls, value: Windows | None, info: ValidationInfo) -> Windows | None:
        if value is not None and "everything" in (info.data.get("budgets") or {}):
            raise ValueError("must not stand beside budgets.everything: both are the budget of all calls")
        return value
