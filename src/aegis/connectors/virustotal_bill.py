"""VirusTotal's own count: how many look-ups of today's quota are used, whoever made them.

It tells only today, at once, so there is nothing to wait for. Asking is free. Source: docs.virustotal.com, user quotas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from aegis.core.bills import BilledDay, units_of_bill
from aegis.core.errors import BadInput
from aegis.core.exchange import failure, from_json, json_object
from aegis.core.ports import Clock, Http, HttpRequest
from aegis.core.secret import Secret

NAME: Final = "virustotal"
METER: Final = "requests"


class VirusTotalBill:
    """`core.bills.Bill`."""

    provider: Final = NAME
    services: Final = (NAME,)
    lag_ms: Final = 0

    def __init__(self, http: Http, *, clock: Clock, base_url: str, key: Secret) -> None:
        self._http, self._clock, self._base, self._key = http, clock, base_url.rstrip("/"), key

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """Today, where the span holds it. Raises `ServiceError` and `BadInput`."""
        today = self._clock.now().date()
        if not first <= today <= last:
            return []
        key = self._key.reveal()
        url = f"{self._base}/api/v3/users/{quote(key, safe='')}/overall_quotas"
        answer = await self._http.send(HttpRequest(service=NAME, method="GET", url=url, headers={"x-apikey": key}))
        if answer.status != 200:
            error = (json_object(answer) or {}).get("error")
            code = error.get("code") if isinstance(error, dict) else ""
            raise failure(NAME, answer, now=self._clock.now(), code=code)
        return [BilledDay(service=NAME, day=today, meter=METER, usage={METER: _used(from_json(NAME, answer))})]


def _used(held: Mapping[str, Any]) -> int:
    daily: Any = held.get("data")
    for name in ("api_requests_daily", "user"):
        daily = daily.get(name) if isinstance(daily, dict) else None
    if not isinstance(daily, dict) or "used" not in daily:
        raise BadInput("the answer holds no quota of the day", code="bad_bill")
    return units_of_bill(daily["used"])
