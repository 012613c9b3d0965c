"""What every client is asked for, and how it is told: a JSON object of step to `true` or what went wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

QUESTION = "Failed logins for 214 accounts from 203.0.113.0/24."
COST = "x-aegis-cost-usd"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"severity": {"type": "string"}}, "required": ["severity"]}


class Given(NamedTuple):
    """The gateway's address, a virtual key, and one whose budget is smaller than any call."""

    address: str
    key: str
    poor: str


def given() -> Given:
    return Given(*sys.argv[1:4])


def tell(version: str, steps: Mapping[str, Callable[[], object]], *, refused: int) -> None:
    """Take every step and print what came of it; `refused` is how many calls the poor key makes."""
    result: dict[str, object] = {"version": version, "refused": refused}
    for name, step in steps.items():
        try:
            result[name] = step()
        except Exception as error:  # noqa: BLE001 - whatever a client raises is the finding
            result[name] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(result), flush=True)


def stopped(call: Callable[[], object], *words: str) -> object:
    """True where the call ends with an error that says these words."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is the finding
        said = f"{type(error).__name__}: {error}"
        return all(word in said for word in words) or said[:300]
    return "nothing was raised"
