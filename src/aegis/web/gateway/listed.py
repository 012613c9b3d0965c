"""Lists of files and batches: the query of a request, and the page that it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from aegis.web.gateway.asked import Asked
from aegis.web.gateway.refusals import Refusal


def query_of(asked: Asked, known: tuple[str, ...]) -> dict[str, str]:
    """The query, of which only these names are known. Raises `Refusal`."""
    found: dict[str, str] = {}
    for pair in asked.query.decode("ascii", "replace").split("&") if asked.query else ():
        name, _, value = pair.partition("=")
        if name not in known or name in found or not re.fullmatch(r"[A-Za-z0-9_-]{0,128}", value):
            raise Refusal(400, f"this path takes no query {name[:64]!r}", code="unknown_query")
        found[name] = value
    return found


def page(documents: Sequence[Mapping[str, Any]], query: Mapping[str, str], *, most: int) -> bytes:
    """A page of a list: what comes after (or stands before) the one that the query names."""
    ids = [str(one["id"]) for one in documents]
    limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 20
    start = 0
    for name in ("after", "after_id"):
        if query.get(name) in ids:
            start = ids.index(query[name]) + 1
    end = ids.index(query["before_id"]) if query.get("before_id") in ids else len(ids)
    shown = documents[start:end][: max(1, min(limit, most))]
    more = start + len(shown) < end
    ends = {"first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None}
    return orjson.dumps({"object": "list", "data": shown, "has_more": more, **ends})
