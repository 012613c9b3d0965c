"""What in the event made a rule match, as clipped text: for the analysis and for the reader."""

from __future__ import annotations

from typing import Any

from aegis.sigma.atoms import Atom
from aegis.sigma.fields import Fields, Reading, value_of
from aegis.sigma.naive import text_fits
from aegis.sigma.values import MISSING, elements, text_of

CLIP_CHARS = 512
FIELDS_MAX = 24
"""A rule of SigmaHQ looks at 14 fields at most."""


def evidence_of(fields: Fields, names: tuple[str, ...], keywords: tuple[Atom, ...], reading: Reading) -> dict[str, str]:
    """The fields that a rule's atoms touch and the event has, and for keywords the first field that holds one."""
    found: dict[str, str] = {}
    for name in names[:FIELDS_MAX]:
        value = value_of(fields, name, reading)
        if value is not MISSING and value is not None:
            found[name] = _clipped(value)
    for atom in keywords:
        if len(found) >= FIELDS_MAX:
            break
        for name, value in fields.items():
            if any(text_fits(atom, text_of(one)) for one in elements(value) if one is not None):
                found.setdefault(name, _clipped(value))
                break
    return found


def _clipped(value: Any) -> str:
    texts = []
    length = 0
    for one in elements(value):
        text = "" if one is None else text_of(one)
        texts.append(text[:CLIP_CHARS])
        length += len(text)
        if length > CLIP_CHARS:
            break
    joined = ", ".join(texts)
    return joined if len(joined) <= CLIP_CHARS else joined[: CLIP_CHARS - 1] + "…"
