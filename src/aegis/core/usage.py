"""What a call used, per meter: whole units, checked once where they come in.

Meters that connectors report for models: `input_tokens` (never counting cached ones), `output_tokens` (with the
reasoning), `cache_read_tokens`, `cache_write_tokens` (kept 5 minutes), `cache_write_1h_tokens`, `web_searches`.
A bound may say `prompt_tokens` instead: input of which nobody can say beforehand whether it will be new, read from a
cache or written to one. Others: `requests`, `bytes_scanned`, `messages`. Two meters exist without being reported: every call is one
`requests`, and `tokens` is the sum of all token meters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aegis.core.calls import Usage
from aegis.core.errors import BadInput

UNITS_MAX = 10**15
"""More than this in one call (a petabyte scanned) is a broken report, not a use."""


PROMPT: Final = "prompt_tokens"
PROMPT_METERS: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
"""What `prompt_tokens` may turn out to be: each token is one of them."""


def check_usage(usage: Mapping[str, object]) -> Usage:
    """The usage itself, if every count is a whole number from 0 to `UNITS_MAX`.

    Raises `BadInput` (`bad_usage`) for a negative, fractional, not-a-number or absurd count: a provider's report
    is input from outside, and a negative one would mint money.
    """
    for units in usage.values():
        if type(units) is not int or not 0 <= units <= UNITS_MAX:
            meter = next(meter for meter, found in usage.items() if found is units)
            raise BadInput(f"{meter} = {units!r} is no count of units", code="bad_usage")
    return usage  # type: ignore[return-value]  # every value was just seen to be an int


def units_of(usage: Usage, meter: str) -> int:
    """How much of `meter` the usage holds (0 if it was not used)."""
    if meter == "requests":
        return usage.get("requests", 1)
    if meter == "tokens":
        return sum(units for name, units in usage.items() if name.endswith("_tokens"))
    return usage.get(meter, 0) + (usage.get(PROMPT, 0) if meter in PROMPT_METERS else 0)
