"""`connectors`: where people are told, tickets are opened, and metrics and logs go. One model a service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from aegis.config.sections.kinds import Address, SecretRef, Section, written


class SlackSection(Section):
    token: SecretRef | None = None
    """Bot token (xoxb-...) with the scope chat:write."""
    webhook: SecretRef | None = None
    """Incoming webhook address, instead of a token."""
    channel: str = ""
    """Channel id, or #name that the bot was invited to."""
    base_url: Address = written("https://slack.com")

    @model_validator(mode="after")
    def _one_way_in(self) -> SlackSection:
        if bool(self.token) == bool(self.webhook):
            raise PydanticCustomError("choice", "must have either token (with channel) or webhook")
        if self.token and not self.channel:
            raise PydanticCustomError("choice", "must have a channel: a token alone does not say where")
        return self


class TeamsSection(Section):
    url: SecretRef
    """Address of a Workflows trigger ("When a Teams webhook request is received")."""


class DiscordSection(Section):
    url: SecretRef
    """Webhook address."""


class PagerDutySection(Section):
    routing_key: SecretRef
    """Integration key of an Events API v2 integration."""
    base_url: Address = written("https://events.pagerduty.com")
    """https://events.eu.pagerduty.com for accounts in the EU service region."""


class JiraSection(Section):
    url: Address
    """Address of the site, such as https://example.atlassian.net."""
    email: str
    """The account whose API token it is."""
    token: SecretRef
    project: str
    """Key of the project, such as SEC."""
    issue_type: str = "Task"


class DatadogSection(Section):
    key: SecretRef
    site: str = "datadoghq.com"
    """datadoghq.com, datadoghq.eu, us3.datadoghq.com, us5.datadoghq.com, ap1.datadoghq.com, ddog-gov.com."""
    base_url: Address | None = None


class SplunkSection(Section):
    url: Address
    """Address of the HTTP Event Collector, such as https://splunk.example.com:8088."""
    token: SecretRef
    index: str = ""


class SentrySection(Section):
    dsn: SecretRef
    environment: str = ""


class PrometheusSection(Section):
    """`/metrics` is always served on Aegis' own port."""

    port: int | None = Field(default=None, ge=1, le=65_535)
    """A port of its own as well, only where something expects one."""


class EmailSection(Section):
    host: str
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "tls"] = "starttls"
    sender: str
    to: list[str] = Field(min_length=1)
    user: str = ""
    password: SecretRef | None = None


class TwilioSection(Section):
    account_sid: str
    token: SecretRef
    sender: str
    """A number of yours in E.164 form, or a messaging service id."""
    to: list[str] = Field(min_length=1)
    base_url: Address = written("https://api.twilio.com")


class CloudWatchSection(Section):
    namespace: str = "Aegis"
    region: str = ""


class AttackSection(Section):
    """The public STIX bundle of MITRE ATT&CK."""

    url: Address = written(
        "https://raw.githubusercontent.com/mitre-attack/attack-stix-data/master/enterprise-attack/enterprise-attack.json"
    )


class ConnectorsSection(Section):
    """Every connector by name; one that is not named is not used."""

    slack: SlackSection | None = None
    teams: TeamsSection | None = None
    discord: DiscordSection | None = None
    pagerduty: PagerDutySection | None = None
    jira: JiraSection | None = None
    datadog: DatadogSection | None = None
    splunk: SplunkSection | None = None
    sentry: SentrySection | None = None
    prometheus: PrometheusSection | None = None
    email: EmailSection | None = None
    twilio: TwilioSection | None = None
    cloudwatch: CloudWatchSection | None = None
    attack: AttackSection | None = None
