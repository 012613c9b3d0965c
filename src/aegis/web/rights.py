"""Which right each route of the API and the dashboard asks for. What is in no row is refused to everybody."""

from __future__ import annotations

import re
from typing import Final

from aegis.core.roles import Right

TABLE: Final[tuple[tuple[str, str, Right], ...]] = (
    ("GET", r"/", "read"),
    ("GET", r"/incidents", "read"),
    ("GET", r"/incidents/[^/]+(/report)?", "read"),
    ("POST", r"/incidents/[^/]+/silence", "operate"),
    ("POST", r"/incidents/[^/]+/[^/]+", "work"),
    ("GET", r"/(spend|guardrails|attack|silences|stop|drills|keys|sandbox|calls)", "read"),
    ("GET", r"/(stop|sandbox|calls)/[^/]+", "read"),
    ("POST", r"/silences", "operate"),
    ("POST", r"/silences/[^/]+/end", "operate"),
    ("POST", r"/deliveries/.+/replay", "operate"),
    ("POST", r"/stop", "operate"),
    ("POST", r"/stop/[^/]+/(apply|recover|abort)", "operate"),
    ("POST", r"/stop/[^/]+/agree/[^/]+", "operate"),
    ("POST", r"/keys", "budget"),
    ("POST", r"/keys/[^/]+/revoke", "budget"),
    ("POST", r"/approvals/[^/]+", "budget"),
    ("POST", r"/sign-out", "read"),
    ("GET", r"/api/openapi\.json", "read"),
    ("POST", r"/api/events", "work"),
    ("GET", r"/api/incidents", "read"),
    ("GET", r"/api/incidents/[^/]+", "read"),
    ("POST", r"/api/incidents/[^/]+/[^/]+", "work"),
    ("GET", r"/api/budgets", "read"),
    ("GET", r"/api/services", "read"),
    ("GET", r"/api/status", "read"),
    ("GET", r"/api/feed", "read"),
    ("GET", r"/api/silences", "read"),
    ("POST", r"/api/silences", "operate"),
    ("DELETE", r"/api/silences/[^/]+", "operate"),
    ("GET", r"/api/contacts", "read"),
    ("POST", r"/api/contacts/[^/]+/test", "operate"),
    ("GET", r"/api/oncall", "read"),
    ("POST", r"/api/config/reload", "admin"),
    ("GET", r"/api/spend", "read"),
    ("GET", r"/api/costs", "read"),
    ("GET", r"/api/forecast", "read"),
    ("GET", r"/api/anomalies", "read"),
    ("GET", r"/api/reconcile", "read"),
    ("POST", r"/api/reconcile", "budget"),
    ("GET", r"/api/anomalies/[^/]+", "read"),
)
_ROWS: Final = tuple((method, re.compile(path), right) for method, path, right in TABLE)


def right_for(method: str, path: str) -> Right | None:
    """The right that a request needs; None: nobody has it."""
    asked = "GET" if method == "HEAD" else method
    return next((right for known, pattern, right in _ROWS if known == asked and pattern.fullmatch(path)), None)
