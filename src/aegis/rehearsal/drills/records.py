"""Log records that drills bring in. Addresses are from the documentation ranges of RFC 5737, names are invented."""

from __future__ import annotations

import json
from datetime import datetime

from aegis.core.wording import rfc3339

ATTACKER, THIEF, OFFICE = "203.0.113.66", "203.0.113.99", "198.51.100.20"


def logging_stopped(at: datetime, number: int, *, user: str = "") -> str:
    """A record that opens a HIGH incident of its own: the audit logging of one cloud account was switched off."""
    account = f"{number + 210987650000:012d}"
    name = user or f"user-{number}"
    return json.dumps(
        {
            "eventVersion": "1.09",
            "eventTime": rfc3339(at),
            "eventSource": "cloudtrail.amazonaws.com",
            "eventName": "StopLogging",
            "awsRegion": "eu-west-1",
            "sourceIPAddress": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "userAgent": "aws-cli/2.17.0",
            "userIdentity": {
                "type": "IAMUser",
                "userName": name,
                "accountId": account,
                "arn": f"arn:aws:iam::{account}:user/{name}",
            },
            "requestParameters": {"name": f"trail-{number}"},
            "eventID": f"{number:032x}",
            "recipientAccountId": account,
        }
    )


def model_use(at: datetime, *, key: str, team: str, address: str, country: str, requests: int, output: int) -> str:
    """What a gateway or a provider logs of a model key's use."""
    return json.dumps(
        {
            "time": rfc3339(at),
            "kind": "model_usage",
            "key_id": key,
            "team": team,
            "model": "claude-sonnet-5-5",
            "source_ip": address,
            "country": country,
            "requests": requests,
            "input_tokens": output * 6,
            "output_tokens": output,
            "outcome": "success",
            "user_agent": "python-requests/2.32",
        }
    )


def web_hit(at: datetime, *, address: str, path: str, status: int = 404, agent: str = "Nikto/2.5.0") -> str:
    """A line of a web server's log."""
    return f'{address} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} 512 "-" "{agent}"'


def sshd(at: datetime, text: str, *, host: str = "bastion-1", pid: int = 2222) -> str:
    """A line of sshd's."""
    return f"{at:%b} {at.day:2d} {at:%H:%M:%S} {host} sshd[{pid}]: {text}"
