"""Every sender by name: how it is verified, and how its public keys are found where it signs with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aegis.core.inbound import Received
from aegis.web.inbound import (
    alertmanager,
    datadog,
    github,
    grafana,
    jira,
    pagerduty,
    sentry,
    slack,
    sns,
    standard,
)
from aegis.web.inbound.signed import Door, Headers


def _no_key(_headers: Headers, _body: bytes, _door: Door) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """`receive` is pure: headers, raw body, door and time in, what was said out. `key_wanted` names a public key that
    has to be fetched first (empty: none).
    """

    receive: Callable[[Headers, bytes, Door, datetime], Received]
    key_wanted: Callable[[Headers, bytes, Door], str] = _no_key


SENDERS: Mapping[str, Sender] = {
    pagerduty.NAME: Sender(receive=pagerduty.receive),
    slack.NAME: Sender(receive=slack.receive),
    jira.NAME: Sender(receive=jira.receive),
    alertmanager.NAME: Sender(receive=alertmanager.receive),
    datadog.NAME: Sender(receive=datadog.receive),
    grafana.NAME: Sender(receive=grafana.receive),
    sentry.NAME: Sender(receive=sentry.receive),
    sns.NAME: Sender(receive=sns.receive, key_wanted=sns.key_wanted),
    github.NAME: Sender(receive=github.receive, key_wanted=github.key_wanted),
    standard.NAME: Sender(receive=standard.receive),
}
