"""What a browser sends with a form: bounded, read once, and only from a page of ours.

Policy: every form carries a token that only this sign-in's pages have (beside the check of `Origin`), so that no other
site can make a browser change anything here.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from aegis.core.errors import BadInput
from aegis.core.plaintext import fit, one_line

FORM_TOKEN: Final = "aegis.form_token"  # noqa: S105 - a key of the request's scope
"""Where a request's scope has the token that its forms must carry."""
FIELD: Final = "form_token"
FORM_BYTES_MAX: Final = 16_384
"""A note of two thousand characters, percent-encoded, and what stands beside it."""
FIELDS_MAX: Final = 30
VALUE_CHARS: Final = 4_000


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form (the first value of each), trimmed. Raises `BadInput`: `too_large`, or `stale_form` when it does
    not carry the token of this sign-in.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MAX:
            raise BadInput("The form is too large", code="too_large")
    try:
        fields = parse_qs(body.decode(), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise BadInput("The form cannot be read", code="not_form") from None
    found = {name: values[0].strip()[:VALUE_CHARS] for name, values in fields.items()}
    right = str(request.scope.get(FORM_TOKEN, ""))
    if not right or not hmac.compare_digest(right.encode(), found.get(FIELD, "").encode()):
        raise BadInput("The page was open for too long; look again and send it once more", code="stale_form")
    return found


def words(form: Mapping[str, str], name: str, limit: int) -> str:
    """One field as one line of plain text."""
    return fit(one_line(form.get(name, "")), limit)


def refuse_unless(holds: bool, words: str, code: str) -> None:
    """Raise `BadInput` with these words unless it holds."""
    if not holds:
        raise BadInput(words, code=code)


def status_of(refused: BadInput) -> int:
    """The HTTP status of a page that says why a form was refused."""
    return {"stale_form": 403, "too_large": 413}.get(refused.code, 400)
