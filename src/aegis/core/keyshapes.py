"""What keys and tokens look like, and what fields that hold them are called: for masking text before people see it.

Policy: rather mask too much than too little, but never a bare hash, which is what analysts look for.
"""

from __future__ import annotations

import re

MASK = "***"

_NAMES = re.compile(
    r"(?:^|[_.-])(?:pass|passwd|password|passphrase|secret|token|dsn|webhook|cookie|credentials?|authorization"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key|routing[_-]?key|signing[_-]?key|session[_-]?key"
    r"|admin[_-]?key)$|^key$",
    re.IGNORECASE,
)

_KEYS = re.compile(
    r"""
      \bsk-[A-Za-z0-9_-]{16,}                                   # Anthropic, OpenAI
    | \bxox[a-z]-[A-Za-z0-9-]{10,} | \bxapp-[A-Za-z0-9-]{10,}   # Slack
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                             # AWS access key id
    | \bgh[a-z]_[A-Za-z0-9]{30,} | \bgithub_pat_\w{20,}         # GitHub
    | \bAIza[\w-]{35}                                           # Google
    | \bATATT3[\w=-]{20,}                                       # Atlassian
    | \bSG\.[\w-]{16,}\.[\w-]{16,}                              # SendGrid
    | \baeg_[a-z]+_[A-Za-z0-9]{8}_[\w-]{20,}                    # our own virtual keys
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}                      # JSON web token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)

_AROUND = (
    # The kind of header, then its value.
    re.compile(r"(?i)\b((?:bearer|basic|splunk|genie-?key)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    # Anything before the @ of an address: user, password, Sentry key.
    re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]+(?=@)"),
    # Webhook addresses are secrets: their path is the key (Slack, Discord, Teams).
    re.compile(r"(?i)(\bhooks\.slack\.com/(?:services|workflows|triggers)/)[^\s\"'<>]+"),
    re.compile(r"(?i)(\bdiscord(?:app)?\.com/api/(?:v\d+/)?webhooks/)[^\s\"'<>]+"),
    re.compile(r"(?i)(\b[\w.-]+\.(?:webhook\.office\.com|logic\.azure\.com|powerplatform\.com)(?::\d+)?/)[^\s\"'<>]+"),
    re.compile(r"(?i)([?&](?:sig|token|key|api_?key|access_token|secret|password|signature)=)[^&\s\"'<>]+"),
)


def names_a_secret(field: str) -> bool:
    """Whether a field of this name holds a secret (`token`, `x-api-key`, `db.password`)."""
    return bool(_NAMES.search(field))


def mask_keys(text: str) -> str:
    """The text with everything that has the shape of a key, token or webhook address masked."""
    text = _KEYS.sub(MASK, text)
    for around in _AROUND:
        text = around.sub(rf"\g<1>{MASK}", text)
    return text
