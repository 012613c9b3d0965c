"""Parameters of an Athena query: bound by Athena itself, never pasted into the SQL.

`ExecutionParameters` are literals in Athena's own SQL (Athena user guide, "Use parameterized queries"), one for each
`?`; `:name` outside of strings, quoted names and comments becomes a `?`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from aegis.core.errors import BadInput

PARAMETER_MAX = 1_024
"""Characters of one parameter (StartQueryExecution, ExecutionParameter)."""

_PIECE = re.compile(
    r"""
    (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | --[^\n]* | /\*.*?\*/ | :: )
    | : (?P<name> [A-Za-z_][A-Za-z0-9_]* )
    """,
    re.VERBOSE | re.DOTALL,
)


def bind(query: str, parameters: Mapping[str, object] | Sequence[object] | None) -> tuple[str, list[str]]:
    """The SQL with `?` and the literal for each, in order.

    A sequence fills the query's own `?`. Names of a mapping that the query does not mention are not sent (they still
    tell cached results apart). Raises `BadInput` for a name without a value and a value that has no literal.
    """
    if parameters is None:
        return query, []
    if not isinstance(parameters, Mapping):
        return query, [literal(value) for value in parameters]
    literals: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in parameters:
            raise BadInput(f"the query asks for :{name}, which parameters do not hold", code="missing_parameter")
        literals.append(literal(parameters[name]))
        return "?"

    return _PIECE.sub(place, query), literals


def literal(value: object) -> str:
    """A value as a literal of Athena's SQL. Raises `BadInput` for one that has none or is too long."""
    text = _literal(value)
    if len(text) > PARAMETER_MAX:
        raise BadInput(f"a parameter of {len(text)} characters; Athena takes {PARAMETER_MAX}", code="too_large")
    return text


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return f"DOUBLE '{value!r}'"
        case Decimal() if value.is_finite():
            return f"DECIMAL '{value:f}'"
        case datetime():
            zone = "" if value.tzinfo is None else value.strftime(" %z")
            zone = f"{zone[:4]}:{zone[4:]}" if zone else ""
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1_000:03d}{zone}'"
        case date():
            return f"DATE '{value:%Y-%m-%d}'"
        case str() if "\x00" not in value:
            return "'" + value.replace("'", "''") + "'"
    raise BadInput(f"{type(value).__name__} {value!r:.40} is no parameter of a query", code="bad_parameter")
