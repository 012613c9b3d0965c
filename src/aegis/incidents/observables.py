"""What in an event can be looked up or links it to others: addresses, names, hashes, keys; normalised and bounded.

Policy: which field holds what is a table per log source, so nothing is guessed from a field's name. Free text
(command lines, requests) is searched for addresses of the network only, and only so far. Values that name nothing
(loopback, `-`, services of AWS in the place of an address) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aegis.core.addresses import parse_address
from aegis.core.incidents import LogSource, Observable, ObservableKind

PER_EVENT_MAX = 24
"""More than any honest event names; a crafted one must not flood the look-ups."""
VALUE_CHARS = 256
"""ARNs and domain names are shorter (2,048 and 253 at most by their makers; longer ARNs are not seen)."""
URL_CHARS = 2_048
"""What a browser's address bar takes at least; VirusTotal takes no more."""
SCANNED_CHARS = 8_192
"""A Windows command line has at most 8,191 characters."""

FieldTable = Sequence[tuple[str, ObservableKind]]

_LINUX: FieldTable = (("source_ip", "ip"), ("user", "user"), ("target_user", "user"), ("host", "host"))
_WEB: FieldTable = (("c-ip", "ip"), ("cs-host", "domain"))
_CLOUDTRAIL: FieldTable = (
    ("sourceIPAddress", "ip"),
    ("userIdentity.arn", "user"),
    ("userIdentity.accessKeyId", "key"),
    ("recipientAccountId", "account"),
    ("userIdentity.accountId", "account"),
)
_MODELS: FieldTable = (("key_id", "key"), ("source_ip", "ip"))
_WINDOWS: FieldTable = (
    ("Computer", "host"),
    ("User", "user"),
    ("SubjectUserName", "user"),
    ("TargetUserName", "user"),
    ("SourceUser", "user"),
    ("IpAddress", "ip"),
    ("SourceIp", "ip"),
    ("DestinationIp", "ip"),
    ("SourceAddress", "ip"),
    ("DestAddress", "ip"),
    ("ClientAddress", "ip"),
    ("DestinationHostname", "domain"),
    ("QueryName", "domain"),
    ("WorkstationName", "host"),
    ("Hashes", "file_hash"),
    ("Hash", "file_hash"),
    ("Image", "process"),
    ("NewProcessName", "process"),
    ("SourceImage", "process"),
)
_ANY: FieldTable = (
    ("source_ip", "ip"),
    ("src_ip", "ip"),
    ("dst_ip", "ip"),
    ("user", "user"),
    ("host", "host"),
    ("domain", "domain"),
    ("url", "url"),
    ("email", "email"),
)
_SCANNED: Mapping[str, Sequence[str]] = {
    "linux": ("command",),
    "windows": ("CommandLine", "ParentCommandLine", "ScriptBlockText", "ImagePath", "Details"),
    "webserver": ("cs-uri", "cs-user-agent", "cs-referer"),
}

_URL = re.compile(r"\b(?:https?|ftp|ldaps?|rmi|dns)://[^\s\"'<>|\\^`{}]{4,2048}", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])", re.ASCII)
_DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z", re.ASCII
)
_HASH = re.compile(r"\A(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\Z", re.ASCII)
_EMAIL = re.compile(r"\A[^\s@]{1,64}@[a-z0-9.-]{3,190}\Z")
_NOBODY = frozenset({"", "-", "n/a", "null", "none", "unknown", "hidden_due_to_security_reasons"})
_WINDOWS_ITSELF = frozenset({"system", "local service", "network service", "anonymous logon", "iusr"})


def observables_of(fields: Mapping[str, Any], logsource: LogSource) -> tuple[Observable, ...]:
    """What the event names, once each, in the order of its table, at most `PER_EVENT_MAX`."""
    found: dict[Observable, None] = {}
    for observable in _all(fields, logsource):
        found[observable] = None
        if len(found) == PER_EVENT_MAX:
            break
    return tuple(found)


def _all(fields: Mapping[str, Any], logsource: LogSource) -> Iterator[Observable]:
    for name, kind in _table(logsource):
        yield from (one for one in read(fields, name, kind) if kind != "user" or _is_somebody(one.value))
    for name in _SCANNED.get(logsource.product or logsource.category, ()):
        if isinstance(text := fields.get(name), str):
            yield from _in_text(text[:SCANNED_CHARS])


def _table(logsource: LogSource) -> FieldTable:
    match logsource.product, logsource.service or logsource.category:
        case "linux", _:
            return _LINUX
        case "windows", _:
            return _WINDOWS
        case "aws", "cloudtrail":
            return _CLOUDTRAIL
        case "aegis", "model_usage":
            return _MODELS
        case _, "webserver":
            return _WEB
    return _ANY


def entity_candidates(logsource: LogSource) -> FieldTable:
    """What a detection is about when its rule does not say: the host for endpoints, the principal in clouds, the key
    for models, the address for everything on the network.
    """
    match logsource.product:
        case "windows":
            return (("Computer", "host"), ("User", "user"))
        case "linux":
            return (("host", "host"), ("user", "user"))
        case "aws":
            return (("userIdentity.arn", "user"), ("recipientAccountId", "account"), ("sourceIPAddress", "ip"))
        case "aegis":
            return (("key_id", "key"),)
    return (("c-ip", "ip"), ("source_ip", "ip"), ("src_ip", "ip"), ("host", "host"), ("user", "user"))


def read(fields: Mapping[str, Any], name: str, kind: ObservableKind) -> Iterator[Observable]:
    """The observables in one field (`userIdentity.arn` reaches into nested ones), normalised."""
    value = lookup(fields, name)
    if kind == "file_hash" and isinstance(value, str):
        yield from _hashes(value)
        return
    if kind == "user" and isinstance(value, str) and name.endswith("UserName"):
        domain = fields.get(name.removesuffix("UserName") + "DomainName")
        if isinstance(domain, str) and domain.strip().lower() not in _NOBODY and "\\" not in value and "@" not in value:
            value = f"{domain}\\{value}"
        value = value.lower()
    if isinstance(value, str | int) and not isinstance(value, bool) and (found := normalise(kind, str(value))):
        yield found


def _is_somebody(user: str) -> bool:
    """Whether a user name is a person or a program of somebody's: every Windows host has the others."""
    return user.lower().rpartition("\\")[2] not in _WINDOWS_ITSELF


def lookup(fields: Mapping[str, Any], name: str) -> Any:
    """A field by its name, or by its dotted path; None when it is not there."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for step in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def normalise(kind: ObservableKind, text: str) -> Observable | None:
    """One value in the form that is compared and looked up; None when it names nothing."""
    text = text.strip()
    if len(text) > (URL_CHARS if kind == "url" else VALUE_CHARS) or text.lower() in _NOBODY or not text.isprintable():
        return None
    match kind:
        case "ip":
            return _ip(text)
        case "domain":
            name = text.lower().rstrip(".")
            return Observable("domain", name) if _DOMAIN.match(name) else None
        case "file_hash":
            digest = text.lower()
            return Observable("file_hash", digest) if _HASH.match(digest) else None
        case "host":
            return Observable("host", text.lower().rstrip(".").removesuffix("$")) if text.strip(".$") else None
        case "user":
            return Observable("user", text.lower() if "\\" in text else text)
        case "email":
            return Observable("email", text.lower()) if _EMAIL.match(text.lower()) else None
        case _:
            return Observable(kind, text)


def _ip(text: str) -> Observable | None:
    address = parse_address(text)
    if address is None or address.is_loopback or address.is_unspecified or address.is_multicast:
        return None
    return Observable("ip", str(address))


def _hashes(value: str) -> Iterator[Observable]:
    """Sysmon writes `SHA1=...,MD5=...,SHA256=...,IMPHASH=...`: the strongest names the file; an import hash does not."""
    named = dict(part.strip().partition("=")[::2] for part in value[:SCANNED_CHARS].split(","))
    by_name = {name.upper(): digest or name for name, digest in named.items()}
    for name in ("SHA256", "SHA1", "MD5"):
        if name in by_name and (found := normalise("file_hash", by_name[name])):
            yield found
            return
    if len(named) == 1 and (found := normalise("file_hash", next(iter(by_name.values())))):
        yield found


def _in_text(text: str) -> Iterator[Observable]:
    if "://" in text:
        for match in _URL.finditer(text):
            url = match[0].rstrip(".,;:!?)]")
            if found := normalise("url", url):
                yield found
            authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
            host = authority if authority.endswith("]") else authority.partition(":")[0]
            if found := normalise("ip", host) or normalise("domain", host):
                yield found
    for match in _ADDRESS.finditer(text):
        if found := normalise("ip", match[0]):
            yield found
