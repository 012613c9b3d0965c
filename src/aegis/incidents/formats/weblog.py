"""Web server access logs in the common and combined format, with Sigma's webserver field names.

Policy: the request line and headers are what a client sent, so they stay encoded as they came; a request that is no
HTTP keeps its text as `cs-uri-stem` with the method `-`.
"""

from __future__ import annotations

import re
from typing import Any

_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_COMBINED = re.compile(
    r"(?:(?P<host>[\w.-]{1,255}):\d{1,5} )?(?P<ip>[\da-fA-F.:]{2,45}|[\w.-]{1,255}) (?P<ident>\S{1,128}) "
    r"(?P<user>.{1,256}?) \[(?P<time>[^\]]{20,40})\] "
    + _QUOTED.replace("(", "(?P<request>", 1)
    + r" (?P<status>\d{3}) (?P<bytes>\d{1,18}|-)"
    + r"(?: " + _QUOTED.replace("(", "(?P<referer>", 1) + " " + _QUOTED.replace("(", "(?P<agent>", 1) + ")?",
    re.ASCII,
)  # fmt: skip
_REQUEST = re.compile(r"([A-Z_-]{1,20}) (\S+) (HTTP/\d(?:\.\d)?)\Z", re.ASCII)
_OPTIONAL = (("cs-host", "host"), ("cs-username", "user"), ("cs-referer", "referer"), ("cs-user-agent", "agent"))


def read_web(line: str) -> dict[str, Any] | None:
    """The fields of one access log line (Apache or nginx, also with the virtual host in front); None for anything else."""
    found = _COMBINED.match(line)
    if found is None:
        return None
    fields: dict[str, Any] = {
        "c-ip": found["ip"],
        "timestamp": found["time"],
        "sc-status": int(found["status"]),
        "message": line,
    }
    if found["bytes"] != "-":
        fields["sc-bytes"] = int(found["bytes"])
    fields |= {name: text for name, group in _OPTIONAL if (text := found[group]) and text != "-"}
    request = _REQUEST.match(found["request"])
    method, target, version = request.groups() if request else ("-", found["request"], "")
    stem, _, query = target.partition("?")
    fields |= {"cs-method": method, "cs-uri": target, "cs-uri-stem": stem, "cs-version": version}
    if query:
        fields["cs-uri-query"] = query
    return fields
