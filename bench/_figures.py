"""How figures are summed up; no benchmark of its own."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def percentile(nanoseconds: Sequence[int]) -> dict[str, Any]:
    """p50, p95 and p99 in milliseconds."""
    if len(nanoseconds) < 2:
        return {"count": len(nanoseconds)}
    cuts = statistics.quantiles(nanoseconds, n=100)
    return {"count": len(nanoseconds)} | {f"p{n}": round(cuts[n - 1] / 1e6, 2) for n in (50, 95, 99)}
