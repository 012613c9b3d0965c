"""What is to be changed at AWS, as exact requests, and the hash by which a person agrees to just these.

Policy: a plan is not kept anywhere. Applying makes it anew from what is configured and what AWS holds now, and does it
only when its hash is the one that was shown: whatever changed in between is refused, and nothing else is ever done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from aegis.core.errors import BadInput
from aegis.core.money import USD, Nanos

Verb = Literal["create", "update", "delete"]
SIGNS: Mapping[Verb, str] = {"create": "+", "update": "~", "delete": "-"}
TAG = "managed-by"
"""The tag of everything that Aegis makes at AWS; its value is `aegis/PREFIX`, so that two installations keep apart."""
HASH_MIN = 16
"""Characters of a hash that must be given back: 64 bits cannot be hit by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsStep:
    """One request. `operation` is named as boto3's method; `words` say what changes, for people."""

    verb: Verb
    name: str
    words: str
    client: str
    operation: str
    region: str
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPlan:
    """Steps in the order in which they are done, and what AWS cannot hold or is left alone, in sentences."""

    steps: Sequence[AwsStep]
    notes: Sequence[str] = ()

    @property
    def hashed(self) -> str:
        """SHA-256 of the requests, in hexadecimal digits."""
        sent = [[one.client, one.operation, one.region, one.request] for one in self.steps]
        return hashlib.sha256(json.dumps(sent, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def check(self, given: str) -> None:
        """Raises `BadInput` unless `given` is the hash of this plan, or its first 16 characters or more."""
        if len(given) < HASH_MIN or not self.hashed.startswith(given.lower()):
            raise BadInput(
                "this is not the plan that was shown: the configuration or AWS has changed since; plan again",
                code="changed",
            )


def tag_of(prefix: str) -> dict[str, str]:
    """The tag of what the installation with this prefix made, as AWS takes it."""
    return {"Key": TAG, "Value": f"aegis/{prefix}"}


def dollars(nanos: Nanos) -> str:
    """An amount as AWS Budgets takes it: `100`, `0.5`."""
    return format((Decimal(nanos) / USD).normalize(), "f")


def nanos_of(amount: object) -> Nanos:
    """An amount that AWS told (`"100.0"`, 75.0) in nano-dollars, rounded; -1 for none that can be read."""
    try:
        told = Decimal(str(amount))
    except InvalidOperation:
        return -1
    return int((told * USD).to_integral_value()) if told.is_finite() and told < USD else -1
