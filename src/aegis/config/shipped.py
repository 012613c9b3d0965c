"""The budgets that hold when nobody wrote any: nothing runs without a limit.

Amounts: the thresholds of the product's first description (5/8/10 a day, 25/35/50 a week, 75/90/100 a month). The
analysis of incidents keeps shares for the worst ones, so that noise cannot use up what a CRITICAL needs. The quotas of
Athena and Bedrock are what a small account is given each month, that of VirusTotal is its public API's a day
(docs.virustotal.com/reference/public-vs-premium-api), with a share kept for CRITICAL.
"""

from __future__ import annotations

from aegis.config.reading import Tree


def budgets() -> Tree:
    """The shipped `budgets` section, as it would be written."""
    return {
        "everything": {
            "scope": "all",
            "daily": {"warning": "5.00", "critical": "8.00", "emergency": "10.00"},
            "weekly": {"warning": "25.00", "critical": "35.00", "emergency": "50.00"},
            "monthly": {"warning": "75.00", "critical": "90.00", "emergency": "100.00"},
        },
        "analysis": {
            "scope": {"purpose": "incident"},
            "daily": {"emergency": "5.00"},
            "reserve": {"CRITICAL": "30%", "HIGH": "20%"},
        },
        "athena-scan": {
            "scope": {"service": "athena"},
            "meter": "bytes_scanned",
            "monthly": {"emergency": "10TB"},
            "throttle": {"light": "60%", "moderate": "75%", "heavy": "85%", "block": "95%"},
        },
        "virustotal": {
            "scope": {"service": "virustotal"},
            "meter": "requests",
            "daily": {"emergency": "500"},
            "reserve": {"CRITICAL": "20%"},
        },
        "bedrock-input": _tokens("input_tokens"),
        "bedrock-output": _tokens("output_tokens"),
    }


def _tokens(meter: str) -> Tree:
    return {
        "scope": {"service": "bedrock"},
        "meter": meter,
        "monthly": {"emergency": "25000"},
        "throttle": {"light": "60%", "moderate": "75%", "heavy": "85%", "block": "95%"},
    }
