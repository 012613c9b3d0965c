"""`inbound`: signed webhooks that are taken, and how each sender is recognised. One that is not named is answered 404."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError

from aegis.config.sections.kinds import SecretRef, Section, Words

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]{1,256}")


def _topics(value: list[str]) -> list[str]:
    for topic in value:
        if not _TOPIC.fullmatch(topic):
            raise ValueError("must be ARNs of SNS topics, such as arn:aws:sns:us-east-1:123456789012:budgets")
    return value


class SignedSection(Section):
    """A sender that shares a secret with us."""

    secret: SecretRef
    """Reference to the shared secret."""
    previous: SecretRef | None = None
    """The secret before it, while it is being changed."""


class JiraInboundSection(SignedSection):
    """Webhooks of Jira Cloud."""

    account: str = ""
    """Account id of the connector's own account: what it does there is not taken back. Empty: known by its e-mail."""


class AlertmanagerInboundSection(SignedSection):
    """`secret` is the bearer token, or the password of basic authentication."""

    user: str = "aegis"
    """The name for basic authentication."""


class DatadogInboundSection(SignedSection):
    """Webhooks of Datadog monitors."""

    header: str = Field(default="X-Aegis-Token", pattern=r"^[A-Za-z0-9-]{1,64}$")
    """The header that holds the secret."""


class GrafanaInboundSection(SignedSection):
    """Webhooks of a Grafana contact point."""

    header: str = Field(default="X-Grafana-Alerting-Timestamp", pattern=r"^[A-Za-z0-9-]{1,64}$")
    """What stands in the contact point's field "Timestamp Header"."""


class SnsInboundSection(Section):
    """Messages of SNS, signed by AWS."""

    topics: Annotated[Words, AfterValidator(_topics)] = Field(min_length=1)
    """ARNs of the topics that are taken and whose subscription is confirmed."""


class GitHubInboundSection(Section):
    """Secret scanning: a webhook with a secret, or messages to a partner of GitHub, or both."""

    secret: SecretRef | None = None
    """Reference to the webhook's secret."""
    previous: SecretRef | None = None
    """The secret before it, while it is being changed."""
    partner: bool = False
    """Whether GitHub sends leaked tokens of yours here (secret scanning partner program)."""

    @model_validator(mode="after")
    def _one_way_in(self) -> GitHubInboundSection:
        if not self.secret and not self.partner:
            raise PydanticCustomError("choice", "must have a secret, or partner: true")
        return self


class InboundSection(Section):
    """Every sender by name, at /inbound/NAME."""

    pagerduty: SignedSection | None = None
    slack: SignedSection | None = None
    """`secret` is the app's Signing Secret."""
    jira: JiraInboundSection | None = None
    alertmanager: AlertmanagerInboundSection | None = None
    datadog: DatadogInboundSection | None = None
    grafana: GrafanaInboundSection | None = None
    sentry: SignedSection | None = None
    """`secret` is the integration's Client Secret."""
    sns: SnsInboundSection | None = None
    github: GitHubInboundSection | None = None
    standard: SignedSection | None = None
    """Any sender that follows Standard Webhooks; `secret` as whsec_..."""
