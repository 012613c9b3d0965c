"""Anthropic's own figures of an organization: the cost report, and the usage report of messages, by UTC day.

An administrator's key is needed. Amounts are decimal text in cents; the report leaves Priority Tier out.
Source: platform.claude.com, Admin API, cost report and usage report.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from aegis.core.bills import DAYS_MAX, PAGES_MAX, BilledDay, Sums, amount_of, begins, day_of, units_of_bill
from aegis.core.errors import BadInput
from aegis.core.exchange import failure, from_json, json_object
from aegis.core.ports import Clock, Http, HttpAnswer, HttpRequest
from aegis.core.secret import Secret

NAME: Final = "anthropic"
VERSION: Final = "2023-06-01"
CENTS: Final = 2
"""Places after the point of a dollar."""
LAG_MS: Final = 6 * 3_600_000
"""Figures usually stand after minutes; hours are for the days when they do not."""
PAGE_CHARS_MAX: Final = 1_000
"""Of the mark of a next page."""


class AnthropicBill:
    """`core.bills.Bill`."""

    provider: Final = NAME
    services: Final = (NAME,)
    lag_ms: Final = LAG_MS

    def __init__(self, http: Http, *, clock: Clock, base_url: str, admin_key: Secret) -> None:
        self._http, self._clock, self._base, self._key = http, clock, base_url.rstrip("/"), admin_key

    async def days(self, first: date, last: date) -> Sequence[BilledDay]:
        """Both reports, added up. Raises `ServiceError` and `BadInput`."""
        sums = Sums(first, last)
        async for bucket in self._buckets("cost_report", first, last, []):
            day = day_of(bucket.get("starting_at"))
            for row in _rows(bucket):
                sums.cost(NAME, day, amount_of(row.get("amount"), row.get("currency"), places=CENTS))
        async for bucket in self._buckets("usage_report/messages", first, last, [("group_by[]", "model")]):
            day = day_of(bucket.get("starting_at"))
            for row in _rows(bucket):
                sums.use(NAME, day, _usage(row))
        return sums.days()

    async def _buckets(
        self, report: str, first: date, last: date, more: Sequence[tuple[str, str]]
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The days of a report, page by page."""
        query = [
            ("starting_at", _stamp(first)),
            ("ending_at", _stamp(last + timedelta(days=1))),
            ("bucket_width", "1d"),
            ("limit", str(DAYS_MAX)),
            *more,
        ]
        page = ""
        for _ in range(PAGES_MAX):
            answer = await self._ask(report, [*query, ("page", page)] if page else query)
            held = from_json(NAME, answer)
            buckets = held.get("data")
            if not isinstance(buckets, list):
                raise BadInput("the report holds no list of days", code="bad_bill")
            for bucket in buckets:
                yield bucket if isinstance(bucket, dict) else {}
            if held.get("has_more") is not True:
                return
            following = held.get("next_page")
            if not isinstance(following, str) or not 0 < len(following) <= PAGE_CHARS_MAX or following == page:
                raise BadInput("the report goes on, and does not say where", code="bad_bill")
            page = following
        raise BadInput(f"the report has more than {PAGES_MAX} pages", code="bad_bill")

    async def _ask(self, report: str, query: Sequence[tuple[str, str]]) -> HttpAnswer:
        headers = {"x-api-key": self._key.reveal(), "anthropic-version": VERSION}
        url = f"{self._base}/v1/organizations/{report}?{urlencode(query)}"
        answer = await self._http.send(HttpRequest(service=NAME, method="GET", url=url, headers=headers))
        if answer.status != 200:
            error = (json_object(answer) or {}).get("error")
            code = error.get("type") if isinstance(error, dict) else ""
            raise failure(NAME, answer, now=self._clock.now(), code=code)
        return answer


def _rows(bucket: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows = bucket.get("results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput("a day of the report holds no list of rows", code="bad_bill")
    return rows


def _usage(row: Mapping[str, Any]) -> Mapping[str, int]:
    """Units by our meters."""
    made = row.get("cache_creation")
    cached = made if isinstance(made, dict) else {}
    return {
        "input_tokens": units_of_bill(row.get("uncached_input_tokens")),
        "output_tokens": units_of_bill(row.get("output_tokens")),
        "cache_read_tokens": units_of_bill(row.get("cache_read_input_tokens")),
        "cache_write_tokens": units_of_bill(cached.get("ephemeral_5m_input_tokens")),
        "cache_write_1h_tokens": units_of_bill(cached.get("ephemeral_1h_input_tokens")),
    }


def _stamp(day: date) -> str:
    return begins(day).strftime("%Y-%m-%dT%H:%M:%SZ")
