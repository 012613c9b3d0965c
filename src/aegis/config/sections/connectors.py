"""`connectors`: where people are told, tickets are opened, and metrics and logs go. One model a service."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from aegis.config.sections.kinds import Address, SecretRef, Section, Words, written


class SlackSection(Section):
    """Messages in a channel, edited in place with a token."""

    token: SecretRef | None = None
    """Bot token (xoxb-...) with the scope chat:write."""
    webhook: SecretRef | None = None
    """Incoming webhook address, instead of a token."""
    channel: str = ""
    """Channel id, or #name that the bot was invited to."""
    interactive: bool = False
    """The app's interactivity leads to this Aegis: buttons act at once. On by itself where `inbound` has slack."""
    base_url: Address = written("https://slack.com")
    """Where Slack is reached."""

    @model_validator(mode="after")
    def _one_way_in(self) -> SlackSection:
        if bool(self.token) == bool(self.webhook):
            raise PydanticCustomError("choice", "must have either token (with channel) or webhook")
        if self.token and not self.channel:
            raise PydanticCustomError("choice", "must have a channel: a token alone does not say where")
        return self


class TeamsSection(Section):
    """A card per change in a channel."""

    webhook: SecretRef
    """Address of a Workflows flow that starts with "When a Teams webhook request is received"."""


class DiscordSection(Section):
    """Messages in a channel, edited in place."""

    webhook: SecretRef
    """Webhook address, https://discord.com/api/webhooks/ID/TOKEN."""


class PagerDutySection(Section):
    """Pages for HIGH and CRITICAL."""

    routing_key: SecretRef
    """Integration key of an Events API v2 integration."""
    base_url: Address = written("https://events.pagerduty.com")
    """https://events.eu.pagerduty.com for accounts in the EU service region."""
    rest_token: SecretRef | None = None
    """REST API token, only to write notes; without it notes stay in Aegis."""
    rest_from: str = ""
    """E-mail address of the user that notes are written as."""
    rest_url: Address = written("https://api.pagerduty.com")
    """https://api.eu.pagerduty.com for accounts in the EU service region."""


class JiraSection(Section):
    """An issue per incident from MEDIUM up."""

    base_url: Address
    """Address of the site, such as https://example.atlassian.net."""
    email: str
    """The account whose API token it is."""
    token: SecretRef
    """API token of that account."""
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]{0,100}$")
    """Key of the project, such as SEC."""
    issue_type: str = "Task"
    """Name of the type that issues are opened as."""
    priorities: str = "Low, Medium, High, Highest"
    """Names of the priorities for LOW, MEDIUM, HIGH and CRITICAL; empty: send none."""
    due_hours: str = Field(default="", pattern=r"^(\s*[0-9]{1,5}(\s*,\s*[0-9]{1,5}){3}\s*)?$")
    """Hours until an issue is due, for LOW, MEDIUM, HIGH and CRITICAL, such as 720, 168, 48, 24; empty: no date."""
    due_field: str = Field(default="duedate", pattern=r"^(duedate|customfield_[0-9]{1,9})$")
    """Where that stands: duedate, or a field of your own that takes date and time."""
    allow_private: bool = False
    """It is reached at a private address."""
    ca_file: str = Field(default="", max_length=1_024)
    """File of authorities (PEM) that are trusted instead of the system's: for a certificate of your own."""


class DatadogSection(Section):
    """Events and metrics."""

    api_key: SecretRef
    """API key of the organisation."""
    base_url: Address = written("https://api.datadoghq.com")
    """The site's API: https://api.datadoghq.eu, https://api.us5.datadoghq.com, ..."""
    events: Literal["v1", "v2"] = "v1"
    """v1: incidents are events in the Events Explorer; v2: alerts in Event Management."""
    events_url: Address | Literal[""] = ""
    """Where v2 events go; empty: https://event-management-intake.SITE."""


class SplunkSection(Section):
    """An event per version of an incident."""

    base_url: Address
    """Address of the HTTP Event Collector, such as https://splunk.example.com:8088."""
    token: SecretRef
    """Token of the HTTP Event Collector."""
    index: str = ""
    """Empty: the token's own default."""
    host: str = "aegis"
    """What stands as `host` of every event."""
    ack: bool = False
    """The token has indexer acknowledgement on: an event is delivered once the indexers have it."""
    allow_private: bool = False
    """It stands on a private address."""
    ca_file: str = Field(default="", max_length=1_024)
    """File of authorities (PEM) that are trusted instead of the system's: for a certificate of your own."""


class SentrySection(Section):
    """An event per version of an incident."""

    dsn: SecretRef
    """Client key of the project, https://KEY@HOST/PROJECT: a secret."""
    environment: str = "production"
    """What stands as the environment of every event."""
    crashes: bool = False
    """Report Aegis' own crashes as well. Needs `pip install 'aegis[sentry]'`."""
    allow_private: bool = False
    """It stands on a private address."""
    ca_file: str = Field(default="", max_length=1_024)
    """File of authorities (PEM) that are trusted instead of the system's: for a certificate of your own."""


class EmailSection(Section):
    """Mail, by routes, budgets and escalations."""

    host: str
    """Mail server."""
    sender: str
    """Address that mails come from; its domain stands in every Message-ID."""
    to: Words = Field(min_length=1)
    """Addresses that are told by default."""
    port: int = Field(default=0, ge=0, le=65_535)
    """0: 587 for starttls, 465 for tls, 25 for none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is for a server on this machine only."""
    user: str = ""
    """Name to sign in with; empty: none is needed."""
    password: SecretRef | None = None
    """Password, or an app password."""
    allow_private: bool = False
    """It stands on a private address."""
    ca_file: str = Field(default="", max_length=1_024)
    """File of authorities (PEM) that are trusted instead of the system's: for a certificate of your own."""


class TwilioSection(Section):
    """Text messages and calls. Both are billed: prices stand under `prices: twilio/us` and `twilio/abroad`."""

    account: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    """Account SID."""
    token: SecretRef
    """Auth token, or the secret of the API key named by api_key."""
    sender: str
    """Number (+1...) or messaging service (MG...) that messages come from."""
    api_key: str = Field(default="", pattern=r"^(SK[0-9a-fA-F]{32})?$")
    """API key SID; empty: the auth token is used."""
    caller: str = ""
    """Number that calls come from; empty: sender, if it is a number."""
    sms_to: Words = written([])
    """Numbers that get messages by default."""
    call_to: Words = written([])
    """Numbers that are called by default."""
    segments_max: int = Field(default=3, ge=1, le=10)
    """Segments that a message may have: each is billed."""
    call_minutes: int = Field(default=2, ge=1, le=10)
    """Minutes after which a call ends."""
    bridge_minutes: int = Field(default=60, ge=1, le=240)
    """Minutes after which a call that joined a conference ends."""
    base_url: Address = written("https://api.twilio.com")
    """Where Twilio is reached."""


class CloudWatchSection(Section):
    """Metrics; credentials are found as the AWS tools find them. Needs `pip install 'aegis[aws]'`."""

    region: str = ""
    """Empty: as the AWS tools find it."""
    namespace: str = "Aegis"
    """Where the metrics stand; never AWS/..."""
    metrics_max: int = Field(default=100, ge=1, le=1_000)
    """Different metrics at most: each costs $0.30 a month."""
    base_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Where CloudWatch's API stands; empty: AWS."""


class WebhookSection(Section):
    """Signed JSON to an address of your own (Standard Webhooks)."""

    webhook: SecretRef
    """Address that is posted to."""
    secret: SecretRef
    """Signing secret, whsec_ and base64 of 24 to 64 bytes."""
    old_secret: SecretRef | None = None
    """The secret before it: while it stands here, both sign."""
    allow_private: bool = False
    """It stands on a private address."""
    ca_file: str = Field(default="", max_length=1_024)
    """File of authorities (PEM) that are trusted instead of the system's: for a certificate of your own."""


class AppriseSection(Section):
    """Channels without a connector of their own. Needs `pip install 'aegis[apprise]'`."""

    urls: SecretRef
    """Addresses in Apprise's way of writing, one or more with blanks between."""


class AttackSection(Section):
    """MITRE ATT&CK."""

    catalogue: str = ""
    """File of the STIX bundle, when it was fetched by hand."""
    base_url: Address = written(
        "https://raw.githubusercontent.com/mitre-attack/attack-stix-data/master/enterprise-attack"
    )
    """Where the catalogue is fetched from."""


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
    email: EmailSection | None = None
    twilio: TwilioSection | None = None
    cloudwatch: CloudWatchSection | None = None
    webhook: WebhookSection | None = None
    apprise: AppriseSection | None = None
    attack: AttackSection | None = None
