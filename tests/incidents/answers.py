"""Answers of a model, as JSON text."""

from __future__ import annotations

import json
from typing import Any


def good_answer(**changed: Any) -> str:
    """A clean answer in the agreed schema, with some fields changed."""
    row: dict[str, Any] = {
        "summary": "Passwords were guessed over SSH until one fitted.",
        "impact": "The account is in other hands.",
        "actions": ["Lock the account.", "Block the address."],
        "confidence": "high",
        "severity": "HIGH",
        "techniques": ["T1110"],
        "iocs": [],
    }
    return json.dumps({**row, **changed})
