"""`connectors`: where people are told, tickets are opened, and metrics and logs go. One model a service."""

from __future__ import annotations

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
    webhook: SecretRef
    """Address of a Workflows flow that starts with "When a Teams webhook request is received"."""


class DiscordSection(Section):
    webhook: SecretRef
    """Webhook address, https://discord.com/api/webhooks/ID/TOKEN."""


class PagerDutySection(Section):
    routing_key: SecretRef
    """Integration key of an Events API v2 integration."""
    base_url: Address = written("https://events.pagerduty.com")
    """https://events.eu.pagerduty.com for accounts in the EU service region."""


class JiraSection(Section):
    base_url: Address
    """Address of the site, such as https://example.atlassian.net."""
    email: str
    """The account whose API token it is."""
    token: SecretRef
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]{0,100}$")
    """Key of the project, such as SEC."""
    issue_type: str = "Task"
    priorities: str = "Low, Medium, High, Highest"
    """Names of the priorities for LOW, MEDIUM, HIGH and CRITICAL; empty: send none."""


class DatadogSection(Section):
    api_key: SecretRef
    base_url: Address = written("https://api.datadoghq.com")
    """The site's API: https://api.datadoghq.eu, https://api.us5.datadoghq.com, ..."""


class SplunkSection(Section):
    base_url: Address
    """Address of the HTTP Event Collector, such as https://splunk.example.com:8088."""
    token: SecretRef
    index: str = ""
    """Empty: the token's own default."""
    host: str = "aegis"
    allow_private: bool = False
    """It stands on a private address."""


class SentrySection(Section):
    dsn: SecretRef
    """Client key of the project, https://KEY@HOST/PROJECT: a secret."""
    environment: str = "production"
    allow_private: bool = False
    """It stands on a private address."""


class AttackSection(Section):
    """MITRE ATT&CK."""

    catalogue: str = ""
    """File of the STIX bundle, when it was fetched by hand."""
    base_url: Address = written(
        "https://raw.githubusercontent.com/mitre-attack/attack-stix-data/master/enterprise-attack"
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
    attack: AttackSection | None = None
