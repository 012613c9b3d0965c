"""Which observables make two detections one incident, and which are shared by everybody and mean nothing."""

from __future__ import annotations

from collections.abc import Iterable

from aegis.core.addresses import parse_address
from aegis.core.incidents import Observable, ObservableKind

LINKING: frozenset[ObservableKind] = frozenset(
    {"host", "user", "account", "ip", "file_hash", "key", "email", "domain", "alert"}
)
"""Kinds that name one thing. A process name, a URL or a technique is shared by strangers."""

HUB_NAMES = frozenset(
    {
        "",
        "-",
        "admin",
        "administrator",
        "anonymous",
        "anonymous logon",
        "dwm-1",
        "ec2-user",
        "guest",
        "hidden_user",
        "iusr",
        "local service",
        "local system",
        "localhost",
        "localsystem",
        "n/a",
        "network service",
        "nobody",
        "none",
        "null",
        "root",
        "system",
        "ubuntu",
        "umfd-0",
        "unknown",
        "www-data",
    }
)
"""Names that every machine has: `root` on two hosts is not one person."""

CLOUD_ACCOUNT_DIGITS = 12
"""An AWS account id is twelve digits; everything in the account carries it."""


def links(observables: Iterable[Observable], *, hubs: frozenset[str] = frozenset()) -> tuple[Observable, ...]:
    """Those of the observables that link, once each, in their order. `hubs` are the installation's own shared names
    (gateways, scanners, service accounts), in lower case.
    """
    return tuple(observable for observable in dict.fromkeys(observables) if may_link(observable, hubs=hubs))


def may_link(observable: Observable, *, hubs: frozenset[str] = frozenset()) -> bool:
    """Whether sharing this observable means something."""
    if observable.kind not in LINKING:
        return False
    name = observable.value.lower()
    plain = name.rsplit("\\", 1)[-1]  # NT AUTHORITY\SYSTEM is SYSTEM
    if name in hubs or plain in hubs or plain in HUB_NAMES or plain.endswith("$"):
        return False  # a trailing $ is a Windows machine account
    if observable.kind == "account":
        return not (plain.isdigit() and len(plain) == CLOUD_ACCOUNT_DIGITS)
    if observable.kind == "ip":
        address = parse_address(plain)
        return address is not None and not (address.is_loopback or address.is_unspecified or address.is_link_local)
    return True
