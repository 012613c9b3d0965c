"""Which log source a record comes from, in Sigma's words, found from its content.

A Windows record may be several things at once; the engine works that out again from the record itself, so here the
narrowest name is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aegis.core.incidents import LogSource
from aegis.incidents.formats.records import Form, Record
from aegis.sigma.sources import facets_of

UNKNOWN = LogSource()
CLOUDTRAIL = LogSource(product="aws", service="cloudtrail")
MODEL_USAGE = LogSource(product="aegis", service="model_usage")
WEB = LogSource(category="webserver")
WINDOWS = LogSource(product="windows")
WORD_CHARS = 64
"""The longest word that a sender may name its log source with."""

_BY_FORM: Mapping[Form, LogSource] = {
    "sshd": LogSource(product="linux", service="sshd"),
    "sudo": LogSource(product="linux", service="sudo"),
    "auth": LogSource(product="linux", service="auth"),
    "cron": LogSource(product="linux", service="cron"),
    "syslog": LogSource(product="linux", service="syslog"),
    "web": WEB,
}
_WIDER = frozenset({"registry_event"})
"""Categories that hold another one."""


def logsource_of(record: Record) -> LogSource:
    """The log source of a record; empty where its content does not tell."""
    fields = record.fields
    if record.form != "json":
        return _BY_FORM[record.form]
    if "EventID" in fields and ("Channel" in fields or "Provider_Name" in fields):
        return _windows(fields.get("Channel"), fields.get("Provider_Name"), fields["EventID"])
    if "eventSource" in fields and "eventName" in fields:
        return CLOUDTRAIL
    if "key_id" in fields and "model" in fields:
        return MODEL_USAGE
    if "cs-method" in fields or "cs-uri-stem" in fields:
        return WEB
    return _declared(fields)


def _windows(channel: Any, provider: Any, number: Any) -> LogSource:
    texts = (one if isinstance(one, str) else "" for one in (channel, provider))
    return _windows_named(*texts, str(number))


@lru_cache(maxsize=4_096)
def _windows_named(channel: str, provider: str, number: str) -> LogSource:
    facets = facets_of({"Provider_Name": provider}, channel.lower(), number, None)
    categories = facets.categories - _WIDER
    service = min(facets.services, default="")
    return LogSource("windows", min(categories, default=""), service) if categories or service else WINDOWS


def _declared(fields: Mapping[str, Any]) -> LogSource:
    """What the record says of itself in a `logsource` object: how a sender names a source that we do not know."""
    declared = fields.get("logsource")
    if not isinstance(declared, dict):
        return UNKNOWN
    words = {name: declared[name] for name in ("product", "category", "service") if isinstance(declared.get(name), str)}
    return LogSource(**{name: word.lower()[:WORD_CHARS] for name, word in words.items()})
