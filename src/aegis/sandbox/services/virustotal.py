"""VirusTotal v3 with a small world of its own and its quotas (docs.virustotal.com: errors, public vs premium API).

Bad are, of the documentation ranges (RFC 5737, RFC 3849): 203.0.113.0/24, and 2001:db8:bad::/48; names with a first
label such as `evil` or `c2`; the EICAR test file and hashes that begin with `bad` or `dead`. Other addresses and names
are clean, other files and URLs unknown. A private address is refused: it must never be asked for.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from aegis.sandbox.exchange import Asked, Reply, clip, reply_json
from aegis.sandbox.room import Document, Room
from aegis.sandbox.service import Service, find, route

ENGINES = 90
BAD_NETWORKS = (IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:bad::/48"))
DOCUMENTATION = (
    IPv4Network("192.0.2.0/24"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv6Network("2001:db8::/32"),
)
BAD_NAME = re.compile(r"(evil|malware|phish|c2|botnet)[a-z0-9-]*\..+")
NAME = re.compile(r"(?=.{4,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
EICAR = (
    "44d88612fea8a8f36de82e1278abb02f",
    "3395856ce81f2b7382dee72602f798b642f14140",
    "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
)
"""MD5, SHA-1 and SHA-256 of the test file of eicar.org."""


def answer(asked: Asked, room: Room) -> Reply:
    if not asked.header("x-apikey"):
        return _no(401, "AuthenticationRequiredError", "X-Apikey header is missing")
    reply = find(ROUTES, asked, room)
    return reply or _no(404, "NotFoundError", f"no such path for {asked.method}")


def _no(status: int, code: str, message: str, *, wrong: bool = True) -> Reply:
    """An error; one that is a fact about the world (`wrong=False`) is an accepted request."""
    body = {"error": {"code": code, "message": message}}
    return reply_json(status, body, refused=message) if wrong else reply_json(status, body, line=message)


# --- quotas ----------------------------------------------------------------------------------------------------


def _month(at: datetime) -> str:
    return f"{at:%Y-%m}"


def _used(room: Room, at: datetime) -> Document:
    """What is used of the quotas now: the moments of the last minute, and the counts of the day, hour and month."""
    held = room.get("quota", "requests") or {}
    second = at.timestamp()
    marks = {"hour": f"{at:%Y-%m-%dT%H}", "day": f"{at:%Y-%m-%d}", "month": _month(at)}
    used: Document = {"minute": [mark for mark in held.get("minute", ()) if mark > second - 60], "marks": marks}
    for name, mark in marks.items():
        used[name] = held[name] if held and held["marks"][name] == mark else 0
    return used


def _refused(room: Room, at: datetime) -> Reply | None:
    """The refusal when a quota is used up; else one is taken from each."""
    used = _used(room, at)
    if len(used["minute"]) >= room.terms.virustotal_per_minute or used["day"] >= room.terms.virustotal_per_day:
        return _no(429, "QuotaExceededError", "Quota exceeded")
    counted = {name: used[name] + 1 for name in used["marks"]}
    room.put("quota", "requests", {**used, **counted, "minute": [*used["minute"], at.timestamp()]})
    return None


def _quotas(asked: Asked, room: Room, _found: re.Match[str]) -> Reply:
    """What is allowed and used; asking costs nothing."""
    used, terms = _used(room, asked.at), room.terms
    allowed = {
        "hourly": (terms.virustotal_per_minute * 60, used["hour"]),
        "daily": (terms.virustotal_per_day, used["day"]),
        "monthly": (terms.virustotal_per_day * 31, used["month"]),
    }
    quotas = {
        f"api_requests_{name}": {"user": {"allowed": most, "used": taken}} for name, (most, taken) in allowed.items()
    }
    return reply_json(200, {"data": quotas})


# --- look-ups --------------------------------------------------------------------------------------------------


def _ip(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    try:
        address = ip_address(found["id"])
    except ValueError:
        return _no(400, "InvalidArgumentError", f"{clip(found['id'], 60)} is no IP address")
    example = any(address in network for network in DOCUMENTATION if network.version == address.version)
    if not (address.is_global or example):
        return _no(400, "InvalidArgumentError", f"{address} is private: it must not be asked for")
    refused = _refused(room, asked.at)
    if refused:
        return refused
    bad = any(address in network for network in BAD_NETWORKS if network.version == address.version)
    more = {"country": "ZZ", "as_owner": "Documentation network", "asn": 64_496}
    return _found("ip_address", str(address), bad=bad, at=asked.at, more=more)


def _domain(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    name = found["id"].lower()
    if not NAME.fullmatch(name):
        return _no(400, "InvalidArgumentError", f"{clip(name, 60)} is no domain name")
    refused = _refused(room, asked.at)
    return refused or _found("domain", name, bad=bool(BAD_NAME.fullmatch(name)), at=asked.at)


def _url(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    """By base64url without padding; a SHA-256 is only known of an URL that was asked for that way before."""
    known = room.get("url", found["id"])
    if re.fullmatch(r"[0-9a-f]{64}", found["id"]):
        url = str(known["url"]) if known else ""
    else:
        try:
            if "=" in found["id"]:
                return _no(400, "InvalidArgumentError", "an URL identifier has no padding")
            url = urlsafe_b64decode(found["id"] + "=" * (-len(found["id"]) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return _no(400, "InvalidArgumentError", "the URL identifier is no base64")
        if not re.match(r"(?i)https?://[^\s/]", url):
            return _no(400, "InvalidArgumentError", "the identifier names no URL")
    refused = _refused(room, asked.at)
    if refused:
        return refused
    if not url or not BAD_NAME.fullmatch(_host(url)):
        return _no(404, "NotFoundError", f'URL "{clip(found["id"], 80)}" not found', wrong=False)
    digest = hashlib.sha256(url.encode()).hexdigest()
    room.put("url", digest, {"url": clip(url, 2_000)})
    return _found("url", digest, bad=True, at=asked.at)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _file(asked: Asked, room: Room, found: re.Match[str]) -> Reply:
    digest = found["id"].lower()
    if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", digest):
        return _no(400, "InvalidArgumentError", f"{clip(digest, 70)} is no hash")
    refused = _refused(room, asked.at)
    if refused:
        return refused
    if digest not in EICAR and not digest.startswith(("bad", "dead")):
        return _no(404, "NotFoundError", f'File "{digest}" not found', wrong=False)
    name = "eicar.com" if digest in EICAR else "invoice.exe"
    whole = EICAR[2] if digest in EICAR else hashlib.sha256(digest.encode()).hexdigest()
    whole = digest if len(digest) == 64 else whole
    return _found("file", whole, bad=True, at=asked.at, more={"meaningful_name": name, "sha256": whole})


def _found(kind: str, name: str, *, bad: bool, at: datetime, more: dict[str, Any] | None = None) -> Reply:
    """The object, with engines that agree the same way every time."""
    spread = int(hashlib.sha256(name.encode()).hexdigest()[:4], 16)
    malicious = 8 + spread % 20 if bad else 0
    suspicious = spread % 3 if bad else 0
    undetected = 20 + spread % 15
    stats = {
        "malicious": malicious,
        "suspicious": suspicious,
        "undetected": undetected,
        "harmless": ENGINES - malicious - suspicious - undetected,
        "timeout": 0,
    }
    category = "malicious" if bad else "harmless"
    attributes = {
        "last_analysis_stats": stats,
        "last_analysis_results": {
            "SandboxEngine": {
                "category": category,
                "engine_name": "SandboxEngine",
                "method": "blacklist",
                "result": None,
            }
        },
        "reputation": -malicious if bad else 0,
        "last_analysis_date": int((at - timedelta(days=1)).timestamp()),
        "tags": [],
        "total_votes": {"harmless": 0, "malicious": malicious},
        **(more or {}),
    }
    links = {"self": f"https://www.virustotal.com/api/v3/{kind}s/{name}"}
    body = {"data": {"type": kind, "id": name, "links": links, "attributes": attributes}}
    verdict = f"{malicious} of {ENGINES} engines call it malicious" if bad else "nothing known against it"
    return reply_json(200, body, line=f"{kind} {name}: {verdict}", usage={"requests": 1})


def failure(status: int, retry_after_s: int | None) -> Reply:
    wait = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    code = {401: "WrongCredentialsError", 429: "TooManyRequestsError"}.get(status, "TransientError")
    return reply_json(status, {"error": {"code": code, "message": "The sandbox was told to fail"}}, headers=wait)


def secrets(asked: Asked) -> Iterable[str]:
    """The address of the quotas may hold the key."""
    found = re.match(r"/api/v3/users/([^/]+)", asked.path)
    if found:
        yield found[1]


ROUTES = (
    route("GET", r"/api/v3/ip_addresses/(?P<id>[^/]{1,60})", _ip),
    route("GET", r"/api/v3/domains/(?P<id>[^/]{1,260})", _domain),
    route("GET", r"/api/v3/urls/(?P<id>[A-Za-z0-9_=-]{1,4000})", _url),
    route("GET", r"/api/v3/files/(?P<id>[^/]{1,80})", _file),
    route("GET", r"/api/v3/users/[^/]{1,100}/overall_quotas", _quotas),
)
SERVICE = Service(name="virustotal", answer=answer, failure=failure, secrets=secrets)
