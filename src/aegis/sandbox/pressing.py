"""A press of a button in a message that stands in the sandbox's Slack, as Slack itself would send it: signed, as a form.

Sources: docs.slack.dev/reference/interaction-payloads/block_actions-payload and
/authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

import orjson

from aegis.core.secret import Secret
from aegis.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Press:
    """One request to the address of an app's interactivity."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def press(world: World, *, action: str, value: str, by: str, secret: Secret, at: datetime) -> Press:
    """What Slack sends when `by` presses the button with this `action_id` and `value`, under the newest message that
    offers it as it stands now. Raises `LookupError` when none does.
    """
    for message in reversed(world.documents("slack", "message")):
        if [action, value] in message["buttons"]:
            break
    else:
        raise LookupError(f"no message in Slack offers {action} for {value}")
    seconds = str(int(at.timestamp()))
    container = {"type": "message", "channel_id": message["channel"], "message_ts": message["ts"]}
    payload = {
        "type": "block_actions",
        "trigger_id": f"{seconds}.{hashlib.sha256(f'{action} {value} {at}'.encode()).hexdigest()[:16]}",
        "user": {"id": "U0SANDBOX", "name": by, "username": by},
        "container": container,
        "actions": [{"action_id": action, "value": value, "action_ts": f"{seconds}.000000", "type": "button"}],
    }
    body = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    key = secret.reveal().encode()
    signature = hmac.new(key, f"v0:{seconds}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": seconds,
        "x-slack-signature": f"v0={signature}",
    }
    return Press(headers, body)
