"""`docs/reference/errors.md`: the errors of the library, the codes of refusals, the exit codes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aegis.core import errors
from aegis.core.errors import AegisError, Refused
from aegis.web.problems import STATUS
from tools.reference.advice import DO, NO_SUCH, WHEN
from tools.reference.cli_page import exit_rows
from tools.reference.codes import Use, codes
from tools.reference.writing import code, page, sentence, table

INTRO = """\
# Errors

Every error that Aegis raises on purpose is a sentence for people and, where programs have to tell them apart, a stable
`code`. The codes are grouped by where they are met; dots stand for what is filled in, and a slash parts
sentences of which one is told.
"""
PROBLEMS = """\
## Problem documents

The API answers a refusal as `application/problem+json` (RFC 9457):

```json
{
  "type": "urn:aegis:problem:no_such_incident",
  "title": "Not found",
  "status": 404,
  "detail": "There is no incident 'inc_1'",
  "code": "no_such_incident"
}
```

`BadInput` has the status 404 where its code begins with `no_such_`, 413 for `too_large`, 403 for `stale_form`, else 400. The
others have one code each:
"""
GATEWAY = """\
The gateway answers in the shape of the vendor whose client asks, with `Retry-After` where waiting helps and
`x-should-retry: false` where it does not ([refusals](../gateway.md#refusals)). OpenAI's shape shows the code as
`error.code`.
"""
GROUPS: Final = (
    (
        "Gateway",
        ("web/gateway", "core/metering", "core/dialects", "core/virtualkeys.py", "app/keydesk.py", "stores/keys.py"),
    ),
    ("Webhooks and links", ("web/inbound", "web/acts.py", "incidents/act_links.py", "incidents/inbox.py")),
    (
        "Events, rules and files",
        ("incidents/formats", "incidents/intake.py", "incidents/rules", "sigma", "connectors/attack"),
    ),
    ("Backup and restore", ("emergency/backup.py", "emergency/sealing.py", "emergency/restore.py")),
    (
        "Stop and return",
        ("emergency", "core/stops.py", "app/returns.py", "cli/stop.py", "cli/recover.py", "cli/emergencies.py"),
    ),
    (
        "Accounts, API and dashboard",
        ("web", "app/accounts.py", "app/approving.py", "stores/accounts.py", "cli/acting.py"),
    ),
    ("Library and cost optimiser", ("cost_optimization", "library")),
    ("Everything else", ("",)),
)
"""Headings, and the places in the sources that belong to each; the first that fits counts."""
SAID_SHOWN: Final = 2


def errors_page() -> str:
    """The page."""
    lines = [*INTRO.split("\n"), "## In the library", "", *_classes(), *PROBLEMS.split("\n")]
    rows = [(code(name), str(status), code(kind.__name__)) for kind, status, name in STATUS]
    lines += table(("code", "status", "error"), rows)
    found = codes()
    for heading, _ in GROUPS:
        of = {name: [use for use in uses if _group(use) == heading] for name, uses in found.items()}
        lines += [f"## {heading}", "", *(GATEWAY.split("\n") if heading == "Gateway" else [])]
        lines += table(
            ("code", "status", "when", "what to do"), (_row(name, uses) for name, uses in of.items() if uses)
        )
    lines += [
        "## Exit codes",
        "",
        "What a command of `aegis` ends with; each is named with its command under [commands](cli.md).",
        "",
    ]
    return page([*lines, *table(("code", "name", "means"), exit_rows())])


def advice(name: str) -> str:
    """What to do about a code."""
    return DO.get(name) or (NO_SUCH if name.startswith("no_such_") else "what the sentence says")


def _row(name: str, uses: Sequence[Use]) -> tuple[str, ...]:
    status = ", ".join(str(number) for number in sorted({use.status for use in uses}) if number)
    said = list(dict.fromkeys(use.said.replace("<", "\\<") for use in uses if use.said))
    return code(name), status or "-", WHEN.get(name) or " / ".join(said[:SAID_SHOWN]), advice(name)


def _group(use: Use) -> str:
    return next(name for name, belong in GROUPS if any(use.place.startswith(part) for part in belong))


def _classes() -> list[str]:
    found: Mapping[str, type[AegisError]] = dict(_tree())
    rows = []
    for name, kind in found.items():
        base = next(one.__name__ for one in kind.__mro__[1:])
        gate = code(kind.gate) if issubclass(kind, Refused) and kind is not Refused else ""
        rows.append((code(name), code(base), gate, sentence(inspect.cleandoc(kind.__doc__ or ""))))
    return table(("error", "is a", "gate", "when"), rows)


def _tree() -> Iterator[tuple[str, type[AegisError]]]:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, AegisError):
            yield name, kind
