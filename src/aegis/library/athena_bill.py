"""What an Athena query is billed for (aws.amazon.com/athena/pricing): bytes scanned, rounded up to a megabyte, 10 MB
at least; cancelled queries count what they scanned; failed ones, DDL and reused results count nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MB: Final = 1024 * 1024
BILLED_MIN: Final = 10 * MB
SCAN_MAX: Final = 10 * 1024 * MB
"""Held for a query in a workgroup without a cut-off of its own (0.05 USD)."""
ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


def state(execution: Mapping[str, Any]) -> str:
    """The state of a query, as GetQueryExecution says it."""
    return str(execution.get("Status", {}).get("State", ""))


def scanned(execution: Mapping[str, Any]) -> int:
    """Bytes scanned so far."""
    return int(execution.get("Statistics", {}).get("DataScannedInBytes") or 0)


def reused(execution: Mapping[str, Any]) -> bool:
    """Whether Athena answered with an earlier result."""
    return bool(execution.get("Statistics", {}).get("ResultReuseInformation", {}).get("ReusedPreviousResult"))


def billed_bytes(execution: Mapping[str, Any]) -> int:
    """What a query that has ended is billed for."""
    if state(execution) == "FAILED" or reused(execution) or execution.get("StatementType") == "DDL":
        return 0
    return max(BILLED_MIN, -(-scanned(execution) // MB) * MB)


def hold(work_group: Mapping[str, Any], scan_max: int = SCAN_MAX) -> int:
    """The most that a query may scan: its workgroup's cut-off (GetWorkGroup's answer) where that is lower."""
    cutoff = int(work_group.get("WorkGroup", {}).get("Configuration", {}).get("BytesScannedCutoffPerQuery") or 0)
    return max(BILLED_MIN, min(cutoff, scan_max) if cutoff else scan_max)
