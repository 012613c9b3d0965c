"""OpenAI's own figures of an organization: costs, and the usage of completions, by UTC day.

An administrator's key is needed. Amounts are numbers in dollars, sometimes as text.
Source: developers.openai.com, API reference, organization costs and usage.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from aegis.core.bills import DAYS_MAX, BilledDay, Sums, amount_of, begins, buckets, day_of, rows_of, units_of_bill
from aegis.core.exchange import failure, json_object
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret

NAME: Final = "openai"
LAG_MS: Final = 12 * 3_600_000
"""The vendor names no delay; days were seen to change for some hours."""


class OpenAIBill:
    """`core.bills.Bill`."""

    provider: Final = NAME
    services: Final = (NAME,)
    lag_ms: Final = LAG_MS

    def __init__(self, http: Http, *, clock: Clock, base_url: str, admin_key: Secret) -> None:
        self._http, self._clock, self._base, self._key = http, clock, base_url.rstrip("/"), admin_key

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """Both reports, added up. Raises `ServiceError` and `BadInput`."""
        sums = Sums(first, last)
        async for bucket in self._buckets("costs", first, last, [("group_by", "line_item")]):
            day = day_of(bucket.get("start_time"))
            for row in rows_of(bucket):
                amount = row.get("amount")
                told = amount if isinstance(amount, dict) else {}
                sums.cost(NAME, day, amount_of(told.get("value"), told.get("currency")))
        async for bucket in self._buckets("usage/completions", first, last, [("group_by", "model")]):
            day = day_of(bucket.get("start_time"))
            for row in rows_of(bucket):
                sums.use(NAME, day, _usage(row))
        return sums.days()

    def _buckets(
        self, report: str, first: date, last: date, more: Sequence[tuple[str, str]]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The days of a report, page by page."""
        start, end = (int(begins(day).timestamp()) for day in (first, last + timedelta(days=1)))
        query = [("start_time", str(start)), ("end_time", str(end)), ("bucket_width", "1d"), ("limit", str(DAYS_MAX))]
        query += more

        async def ask(page: str) -> HttpAnswer:
            return await self._ask(report, [*query, ("page", page)] if page else query)

        return buckets(NAME, ask)

    async def _ask(self, report: str, query: Sequence[tuple[str, str]]) -> HttpAnswer:
        headers = {"authorization": f"Bearer {self._key.reveal()}"}
        url = f"{self._base}/v1/organization/{report}?{urlencode(query)}"
        answer = await self._http.send(HttpRequest(service=NAME, method="GET", url=url, headers=headers))
        if answer.status != 200:
            error = (json_object(answer) or {}).get("error")
            code = error.get("code") if isinstance(error, dict) else ""
            raise failure(NAME, answer, now=self._clock.now(), code=code)
        return answer


def _usage(row: Mapping[str, Any]) -> Mapping[str, int]:
    """Units by our meters: OpenAI's input counts the cached part, ours does not."""
    cached = units_of_bill(row.get("input_cached_tokens"))
    return {
        "input_tokens": max(0, units_of_bill(row.get("input_tokens")) - cached),
        "cache_read_tokens": cached,
        "output_tokens": units_of_bill(row.get("output_tokens")),
        "requests": units_of_bill(row.get("num_model_requests")),
    }
