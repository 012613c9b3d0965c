"""Twilio's own figures: what messages and calls of an account cost on a UTC day.

One request a day of the span: the usage records say a whole span in one sum. Source: twilio.com/docs, usage records.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from urllib.parse import urlencode

from aegis.core.bills import BilledDay, Sums, amount_of
from aegis.core.errors import BadInput
from aegis.core.exchange import failure, from_json, json_object
from aegis.core.ports import Clock, Http, HttpRequest
from aegis.core.secret import Secret

NAME: Final = "twilio"
LAG_MS: Final = 24 * 3_600_000
"""A message's price is set after it was sent, some carriers' a day later."""
CATEGORIES: Final = ("sms", "calls")
"""What Aegis causes; the rent of numbers and the like is not a call's cost."""
PAGE_SIZE: Final = 1_000
"""The largest page; there are some hundred categories."""


class TwilioBill:
    """`core.bills.Bill`. `user` is the account or the key that signs in, `token` its secret."""

    provider: Final = NAME
    services: Final = (NAME,)
    lag_ms: Final = LAG_MS

    def __init__(self, http: Http, *, clock: Clock, base_url: str, account: str, user: str, token: Secret) -> None:
        self._http, self._clock, self._base = http, clock, base_url.rstrip("/")
        self._account, self._user, self._token = account, user, token

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """Raises `ServiceError` and `BadInput`."""
        sums = Sums(first, last)
        for number in range((last - first).days + 1):
            await self._day(first + timedelta(days=number), sums)
        return sums.days()

    async def _day(self, day: date, sums: Sums) -> None:
        query = {"StartDate": day.isoformat(), "EndDate": day.isoformat(), "PageSize": str(PAGE_SIZE)}
        pair = base64.b64encode(f"{self._user}:{self._token.reveal()}".encode()).decode()
        url = f"{self._base}/2010-04-01/Accounts/{self._account}/Usage/Records.json?{urlencode(query)}"
        answer = await self._http.send(
            HttpRequest(service=NAME, method="GET", url=url, headers={"authorization": f"Basic {pair}"})
        )
        if answer.status != 200:
            code = (json_object(answer) or {}).get("code")
            raise failure(NAME, answer, now=self._clock.now(), code=str(code))
        held = from_json(NAME, answer)
        records = held.get("usage_records")
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise BadInput("the report holds no list of records", code="bad_bill")
        if held.get("next_page_uri"):
            raise BadInput(f"the report has more than {PAGE_SIZE} categories", code="bad_bill")
        for one in records:
            if one.get("category") in CATEGORIES:
                sums.cost(NAME, day, amount_of(one.get("price"), one.get("price_unit")))
