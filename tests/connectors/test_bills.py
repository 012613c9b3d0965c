"""Every question to a provider's bill keeps to its contract, every answer is read or refused whole, and no report goes on for ever."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from tests.connectors.contracts import Contract, _document

from aegis.connectors.anthropic_bill import AnthropicBill
from aegis.connectors.aws_bill import AwsBill, Place, cost_request, metrics_request, ours
from aegis.connectors.openai_bill import OpenAIBill
from aegis.connectors.twilio_bill import TwilioBill
from aegis.connectors.virustotal_bill import VirusTotalBill
from aegis.core.calls import Call
from aegis.core.errors import BadInput, Refused, ServiceError
from aegis.core.ports import Governs, HttpAnswer, HttpRequest
from aegis.core.secret import Secret
from aegis.testing import FakeClock, FixedIds

pytestmark = pytest.mark.anyio
FIRST, LAST = date(2026, 11, 16), date(2026, 11, 18)
CLOCK = FakeClock(datetime(2026, 11, 18, 12, tzinfo=UTC))
KEY = Secret("sk-ant-admin-canary")


class Told:
    """Answers with what it is given, one after the other (the last again and again), and keeps the questions."""

    def __init__(self, *bodies: object) -> None:
        self.bodies, self.asked = list(bodies), list[HttpRequest]()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.asked.append(request)
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return HttpAnswer(status=200, headers={}, body=orjson.dumps(body))


def query(request: HttpRequest) -> dict[str, Any]:
    """As the contract types it: whole numbers where it wants them, lists where a name may stand several times."""
    found = parse_qs(urlsplit(request.url).query)
    return {
        name: value if name == "group_by" else int(value[0]) if value[0].isdecimal() and name != "page" else value[0]
        for name, value in found.items()
    }


def asked_rightly(shared: Path, service: str, name: str, request: HttpRequest) -> list[str]:
    document = _document(shared, service)
    entry = document["requests"][name]
    assert urlsplit(request.url).path.endswith(urlsplit(entry["path"]).path.rpartition("/v1/")[2].rpartition("}")[2])
    return Contract({"$defs": document.get("$defs", {}), **entry["query"]}).breaches(query(request))


EMPTY = {"object": "page", "data": [], "has_more": False, "next_page": None}
CLAUDE_COST = {
    "data": [
        {
            "starting_at": "2026-11-17T00:00:00Z",
            "ending_at": "2026-11-18T00:00:00Z",
            "results": [{"amount": "123.45", "currency": "USD"}, {"amount": "1", "currency": "USD"}],
        }
    ],
    "has_more": False,
    "next_page": None,
}
GPT_COST = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1794873600,
            "end_time": 1794960000,
            "results": [{"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}}],
        }
    ],
    "has_more": False,
    "next_page": None,
}


def claude(http: Told) -> AnthropicBill:
    return AnthropicBill(http, clock=CLOCK, base_url="https://claude.test", admin_key=KEY)


def gpt(http: Told) -> OpenAIBill:
    return OpenAIBill(http, clock=CLOCK, base_url="https://gpt.test", admin_key=KEY)


async def test_claudes_cents_are_read_and_the_key_stands_in_a_header_only() -> None:
    http = Told(CLAUDE_COST, {"data": [], "has_more": False, "next_page": None})

    days = await claude(http).days(FIRST, LAST)

    assert [(one.day.day, one.cost) for one in days] == [(17, 1_244_500_000)]
    assert [urlsplit(one.url).path for one in http.asked] == [
        "/v1/organizations/cost_report",
        "/v1/organizations/usage_report/messages",
    ]
    assert query(http.asked[0])["starting_at"] == "2026-11-16T00:00:00Z"
    assert query(http.asked[0])["ending_at"] == "2026-11-19T00:00:00Z"
    assert all(KEY.reveal() not in one.url and one.headers["x-api-key"] == KEY.reveal() for one in http.asked)


async def test_openais_dollars_are_read(shared: Path) -> None:
    http = Told(GPT_COST, EMPTY)

    days = await gpt(http).days(FIRST, LAST)

    assert [(one.day, one.cost) for one in days] == [(date(2026, 11, 17), 60_000_000)]
    assert asked_rightly(shared, "openai", "costs", http.asked[0]) == []
    assert asked_rightly(shared, "openai", "usage_completions", http.asked[1]) == []
    assert Contract.of(shared, "openai", "costs.200", "responses").breaches(GPT_COST) == []


async def test_twilios_categories_are_read_and_its_rents_are_not(shared: Path) -> None:
    records = [
        {"category": "sms", "price": 0.5, "price_unit": "usd"},
        {"category": "calls", "price": "0.25", "price_unit": "usd"},
        {"category": "totalprice", "price": 9, "price_unit": "usd"},
    ]
    http = Told({"usage_records": records, "next_page_uri": None})
    account = "AC" + "0" * 32

    bill = TwilioBill(http, clock=CLOCK, base_url="https://t.test", account=account, user=account, token=KEY)
    days = await bill.days(LAST, LAST)

    assert [one.cost for one in days] == [750_000_000]
    assert asked_rightly(shared, "twilio", "usage_records", http.asked[0]) == []


async def test_virustotal_tells_today_only() -> None:
    http = Told({"data": {"api_requests_daily": {"user": {"allowed": 500, "used": 42}}}})
    bill = VirusTotalBill(http, clock=CLOCK, base_url="https://vt.test", key=KEY)

    assert [(one.figure, one.meter) for one in await bill.days(FIRST, LAST)] == [(42, "requests")]
    assert await bill.days(FIRST, FIRST) == []


def _page(rows: object, **more: object) -> Mapping[str, object]:
    day = {"starting_at": "2026-11-17T00:00:00Z", "start_time": 1794873600, "results": rows}
    return {"data": [day], "has_more": False, "next_page": None, **more}


HOSTILE: Mapping[str, object] = {
    "negative": _page([{"amount": "-5", "currency": "USD"}]),
    "absurd": _page([{"amount": "1e30", "currency": "USD"}]),
    "nan": _page([{"amount": "NaN", "currency": "USD"}]),
    "other currency": _page([{"amount": "5", "currency": "EUR"}]),
    "no amount": _page([{}]),
    "rows that are none": _page([5]),
    "no rows": _page(None),
    "no days": {"data": None},
    "no day": {"data": [{"starting_at": "yesterday", "results": [{"amount": "5", "currency": "USD"}]}]},
    "days that are none": {"data": [7]},
    "no end": _page([], has_more=True, next_page="again"),
    "no next": _page([], has_more=True, next_page=None),
    "next that is none": _page([], has_more=True, next_page=5),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_report_that_cannot_be_is_refused_whole(name: str) -> None:
    http = Told(HOSTILE[name])
    for bill in (claude(http), gpt(http)):
        with pytest.raises(BadInput):
            await bill.days(FIRST, LAST)
        assert len(http.asked) <= 41


async def test_pages_that_never_end_are_given_up() -> None:
    http = Told(*[_page([], has_more=True, next_page=f"p{number}") for number in range(200)])
    with pytest.raises(BadInput, match="more than 20 pages"):
        await claude(http).days(FIRST, LAST)
    assert len(http.asked) == 20


# --- AWS -------------------------------------------------------------------------------------------------------


class Reserved:
    def __init__(self) -> None:
        self.settled: object = None

    def settle(self, usage: object) -> None:
        self.settled = usage


class Gate:
    """A governor that keeps what it was asked; with `refuse` it says no."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.calls, self.refuse = list[Call](), refuse

    @asynccontextmanager
    async def admit(self, call: Call) -> AsyncIterator[Reserved]:
        if self.refuse:
            raise Refused("the budget is spent")
        self.calls.append(call)
        yield Reserved()


class Aws:
    def __init__(self, costs: object, metrics: object = None) -> None:
        self.costs, self.metrics, self.asked = costs, metrics or {"MetricDataResults": []}, list[object]()

    async def call(
        self, _service: str, client: str, _operation: str, request: Mapping[str, Any], *, region: str, endpoint: str
    ) -> Any:
        self.asked.append((client, region, endpoint, request))
        return self.costs if client == "ce" else self.metrics


def group(name: str, amount: str, unit: str = "USD") -> Mapping[str, object]:
    return {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": unit}}}


def costs(*groups: object) -> Mapping[str, object]:
    day = {"TimePeriod": {"Start": "2026-11-17", "End": "2026-11-18"}, "Total": {}, "Groups": list(groups)}
    return {"ResultsByTime": [day]}


def aws(calls: Aws, gate: Gate) -> AwsBill:
    governor = cast(Governs, gate)
    return AwsBill(calls, governor, clock=CLOCK, new_id=FixedIds(), place=Place(region="eu-central-1"))


async def test_aws_is_asked_once_for_all_days_and_pays_for_it_through_the_governor(shared: Path) -> None:
    told = costs(group("Amazon Athena", "0.5"), group("Claude Haiku (Amazon Bedrock Edition)", "1"), group("EC2", "9"))
    at = datetime(2026, 11, 17, tzinfo=UTC)
    measured = {"MetricDataResults": [{"Id": "m0", "Timestamps": [at], "Values": [1_000.0]}]}
    calls, gate = Aws(told, measured), Gate()

    days = await aws(calls, gate).days(FIRST, LAST)

    assert {one.service: one.cost for one in days} == {"athena": 500_000_000, "bedrock": 1_000_000_000}
    assert {one.service: dict(one.usage) for one in days}["bedrock"] == {"input_tokens": 1_000}
    assert [(call.service, dict(call.worst)) for call in gate.calls] == [
        ("ce", {"requests": 1}),
        ("cloudwatch", {"metrics": 6}),
    ]
    assert Contract.of(shared, "aws_ce", "GetCostAndUsage").breaches(cost_request(FIRST, LAST)) == []
    assert Contract.of(shared, "aws_ce", "GetCostAndUsage", "responses").breaches(told) == []
    request = dict(metrics_request(FIRST, LAST, "primary"))
    request |= {name: request[name].timestamp() for name in ("StartTime", "EndTime")}
    assert Contract.of(shared, "aws_cloudwatch", "GetMetricData").breaches(request) == []


async def test_aws_is_not_asked_when_the_governor_says_no() -> None:
    calls = Aws(costs())
    with pytest.raises(Refused):
        await aws(calls, Gate(refuse=True)).days(FIRST, LAST)
    assert calls.asked == []


@pytest.mark.parametrize(
    "told",
    [
        costs(group("Amazon Athena", "-1")),
        costs(group("Amazon Athena", "1", "EUR")),
        costs({"Keys": []}),
        {"ResultsByTime": None},
        {**costs(), "NextPageToken": 5},
        {**costs(), "NextPageToken": "again"},
    ],
    ids=["negative", "currency", "nameless", "nothing", "strange page", "no end"],
)
async def test_a_bill_of_aws_that_cannot_be_is_refused_whole(told: Mapping[str, object]) -> None:
    gate = Gate()
    with pytest.raises(BadInput):
        await aws(Aws(told), gate).days(FIRST, LAST)
    assert len(gate.calls) <= 5


def test_models_that_others_sell_on_bedrock_are_bedrock() -> None:
    assert [ours(name) for name in ("Amazon Bedrock", "Claude Opus (Amazon Bedrock Edition)", "AmazonCloudWatch")] == [
        "bedrock",
        "bedrock",
        "",
    ]


async def test_a_refusal_of_the_vendor_says_its_code_and_nothing_of_its_text() -> None:
    class No:
        async def send(self, _request: HttpRequest) -> HttpAnswer:
            body = orjson.dumps({"error": {"type": "permission_error", "message": "hostile words"}})
            return HttpAnswer(status=403, headers={}, body=body)

    with pytest.raises(ServiceError, match="403 permission_error") as refused:
        await AnthropicBill(No(), clock=CLOCK, base_url="https://c.test", admin_key=KEY).days(FIRST, LAST)
    assert "hostile" not in str(refused.value)
