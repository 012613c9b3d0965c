"""`docs/reference/http.md`: every path that Aegis answers, from the OpenAPI document, the rights and the routing tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from aegis.app import App
from aegis.core.roles import RIGHTS, ROLES
from aegis.web.api import VERBS
from aegis.web.desk import desk
from aegis.web.feed import Feed
from aegis.web.gateway.routes import ROUTES
from aegis.web.inbound.senders import SENDERS
from aegis.web.rights import right_for
from tools.reference.writing import anchor, code, page, sentence, table

INTRO = """\
# HTTP API

One address, 127.0.0.1:8787 where nothing else is said (`server.listen`): the API under `/api`, the gateway under `/v1`
and `/model`, webhooks under `/inbound`, the [dashboard](../dashboard.md) everywhere else. The same document for programs
is served at `/api/openapi.json`.

```
curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8787/api/budgets
```

## Who may

`TOKEN` is an API token of an account (`aegis token create`), or the one in the file
`api-token` of the state folder. A browser's session counts too. Each path asks for one right; these roles have it:
"""
AFTER_RIGHTS = """\
JSON that is answered begins with `"schema": "aegis.NAME/1"`; money is a decimal string in US dollars under a key that ends
in `_usd`; times are RFC 3339 in UTC. A refusal is a [problem document](errors.md#problem-documents) with a stable `code`.
"""
OTHERS = """\
## Without sign-in

| path | answers |
|---|---|
| `GET /livez` | `ok` while the process turns |
| `GET /readyz` | `ok`, or 503 and one line for each part that fails; a spent budget is no failure |
| `GET, POST /sign-in`, `GET /sign-in/oidc` | the sign-in, [accounts](../accounts.md) |
| `GET, POST /act/...` | a signed link of a message: a page that asks first, [two-way](../inbound.md) |

## Metrics

`GET /metrics`, in Prometheus' text format or OpenMetrics; every name stands under [monitoring](../monitoring.md#metrics).
"""
GATEWAY = """\
## Gateway

Asked with a virtual key (`aegis key create`), not with a token. How it works: [gateway](../gateway.md).
"""
INBOUND = """\
## Webhooks

`POST /inbound/SENDER`, for those that stand under `inbound` in the configuration; each signs in its own way. How to
register them: [two-way](../inbound.md).
"""
STORED: Final = (
    ("GET", "/v1/models", "the models that this key may ask"),
    ("GET, POST", "/v1/files", "files of requests for batches"),
    ("GET, DELETE", "/v1/files/ID", "one of them; `/content` is what stands in it"),
    ("GET, POST", "/v1/batches", "OpenAI's batches"),
    ("GET", "/v1/batches/ID", "one of them; `POST` to `/cancel` ends it"),
    ("GET, POST", "/v1/messages/batches", "Anthropic's batches"),
    ("GET", "/v1/messages/batches/ID", "one of them; `/results` is what came of it, `POST` to `/cancel` ends it"),
    ("POST", "/model/MODEL/converse", "Bedrock; `/converse-stream` streams"),
)
"""What stands in no table of the gateway by its path; a test asks the gateway's own routing for each."""


class Anything:
    """Stands for an Aegis while the routes are described: nothing of it is used before a request comes."""

    def __getattr__(self, _name: str) -> Anything:
        return self

    def __call__(self, *_args: object, **_named: object) -> Anything:
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())


def document() -> Mapping[str, Any]:
    """The OpenAPI document."""
    return desk(cast("App", Anything()), Feed()).openapi()


def http_page() -> str:
    """The page."""
    described = document()
    lines = [*INTRO.split("\n"), *_rights(), *AFTER_RIGHTS.split("\n"), "## API", ""]
    found = [(verb.upper(), path, of) for path, verbs in described["paths"].items() for verb, of in verbs.items()]
    rows = [
        (
            _link(verb, path) if _takes(of) else code(f"{verb} {path}"),
            code(_right(verb, path)),
            sentence(of.get("description", "")),
        )
        for verb, path, of in found
    ]
    lines += table(("path", "right", "what it does"), rows)
    for verb, path, of in found:
        if _takes(of):
            lines += _operation(described, verb, path, of)
    lines += [*OTHERS.split("\n"), *GATEWAY.split("\n"), *_gateway(), *INBOUND.split("\n")]
    lines += table(("path",), [(code(f"POST /inbound/{name}"),) for name in SENDERS])
    return page(lines)


def _takes(of: Mapping[str, Any]) -> bool:
    """Whether an operation takes anything that is worth a table."""
    return "requestBody" in of or any(one["in"] != "path" for one in of.get("parameters", ()))


def _link(verb: str, path: str) -> str:
    return f"[`{verb} {path}`](#{anchor(f'{verb} {path}')})"


def _rights() -> list[str]:
    order = ("read", "work", "operate", "budget", "admin")
    rows = [(code(role), *("yes" if right in RIGHTS[role] else "" for right in order)) for role in ROLES]
    return table(("role", *(code(right) for right in order)), rows)


def _right(verb: str, path: str) -> str:
    """The right that a path asks for, its names filled in with something."""
    filled = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
    return right_for(verb, filled) or "nobody"


def _operation(described: Mapping[str, Any], verb: str, path: str, of: Mapping[str, Any]) -> list[str]:
    """What one operation takes, where it takes anything but what its path says."""
    lines = [f"### `{verb} {path}`", "", sentence(of.get("description", "")), ""]
    rows = [
        (code(one["name"]), one["in"], *_facts(one["schema"], needed=one.get("required", False)))
        for one in of.get("parameters", ())
    ]
    if body := _body(described, of):
        needed = body.get("required", ())
        rows += [(code(name), "body", *_facts(one, needed=name in needed)) for name, one in body["properties"].items()]
    if "{verb}" in path:
        lines += [f"`verb` is one of {', '.join(code(word) for word in VERBS)}.", ""]
    return lines + (table(("name", "in", "kind", "otherwise"), rows) if rows else [])


def _body(described: Mapping[str, Any], of: Mapping[str, Any]) -> Mapping[str, Any]:
    content = of.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    for one in (schema, *schema.get("anyOf", ())):
        if name := str(one.get("$ref", "")).rpartition("/")[2]:
            return cast("Mapping[str, Any]", described["components"]["schemas"][name])
    return {}


def _facts(schema: Mapping[str, Any], *, needed: bool) -> tuple[str, str]:
    kind = {"integer": "whole number", "boolean": "`true` or `false`", "array": "list of text"}.get(
        schema["type"], "text"
    )
    bounds = [
        f"at least {schema['minimum']}" if "minimum" in schema else "",
        f"at most {schema['maximum']}" if "maximum" in schema else "",
        f"at most {schema['maxLength']} characters" if "maxLength" in schema else "",
    ]
    said = ", ".join(one for one in (kind, *bounds) if one)
    default = schema.get("default")
    shown = str(default).lower() if isinstance(default, bool) else str(default or "")
    return said, "**needed**" if needed else code(shown) or "-"


def _gateway() -> list[str]:
    rows = [
        (code(f"POST {path.decode()}"), f"`{route.name}`, as {route.shape} answers") for path, route in ROUTES.items()
    ]
    rows += [(code(f"{verb} {path}"), said) for verb, path, said in STORED]
    return table(("path", "what it is"), rows)
