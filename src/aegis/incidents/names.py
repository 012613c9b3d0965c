"""How an observable's value is named in a sentence."""

from __future__ import annotations

from aegis.core.plaintext import fit, one_line

ARN_PARTS = 6
"""`arn:partition:service:region:account:resource` (AWS General Reference, ARN format)."""


def short_name(value: str, limit: int) -> str:
    """The value on one line, at most `limit` characters; of an ARN only the resource (of `user/deploy` the name): the rest of it
    stands among the observables.
    """
    text = one_line(value)
    parts = text.split(":", ARN_PARTS - 1)
    if text.startswith("arn:") and len(parts) == ARN_PARTS and parts[-1]:
        text = parts[-1].removeprefix("user/")
    return fit(text, limit)
