"""The Free Tier is read from AWS where it may be; else the quotas are those that were set, and the report says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.cost_optimization.aws import Clients
from tests.cost_optimization.conftest import Make, SteppingClock

from aegis.cost_optimization.models import FreeTierLimits, ServiceType
from aegis.sandbox.server import serve
from aegis.sandbox.world import World
from aegis.transport.aws import make_client

pytest.importorskip("boto3")
pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(clock: SteppingClock) -> AsyncIterator[tuple[World, Any]]:
    """A sandbox, and boto3's own client for its Free Tier."""
    sandbox = World(clock=clock)
    async with serve(sandbox) as serving:
        yield sandbox, make_client("freetier", endpoint=serving.addresses()["freetier"], stand_in=True)


async def test_what_aws_says_is_read_and_its_offer_of_s3_becomes_the_quota(
    make: Make, clients: Clients, world: tuple[World, Any]
) -> None:
    clients["freetier"] = world[1]
    optimizer = make(limits=FreeTierLimits(bedrock_input_tokens_monthly=7, s3_storage_gb_monthly=1))
    report = await optimizer.read_free_tier()
    fullest = report.offers[0]
    assert (fullest.usage_type, fullest.percent, report.why) == ("EUW1-Requests-Tier1", 75.0, "")
    assert len(report.offers) == 4
    quotas = report.limits.quotas()
    assert quotas[ServiceType.S3] == {"stored_bytes": 5 * 1024**3, "get_requests": 20_000, "put_requests": 2_000}
    assert quotas[ServiceType.BEDROCK]["input_tokens"] == 7, "Bedrock has no offer: what was set stays"


async def test_without_a_client_the_quotas_are_those_that_were_set(make: Make) -> None:
    optimizer = make()
    report = await optimizer.read_free_tier()
    assert (report.offers, report.limits) == ((), optimizer.engine.limits)
    assert "no freetier client" in report.why


@pytest.mark.parametrize("kind", ["401", "429", "500", "garbage", "reset"])
async def test_where_aws_refuses_the_report_says_why(
    make: Make, clients: Clients, world: tuple[World, Any], kind: str
) -> None:
    world[0].fault("freetier", kind)
    clients["freetier"] = world[1]
    report = await make().read_free_tier()
    assert report.offers == ()
    assert report.why.startswith("freetier: ")


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"actualUsageAmount": "much", "limit": 1.0},
        {"actualUsageAmount": -1.0, "limit": 1.0},
        {"actualUsageAmount": 1.0, "limit": float("nan")},
        {"actualUsageAmount": 1.0, "limit": 0.0},
    ],
)
async def test_an_offer_whose_numbers_are_none_is_left_out(make: Make, clients: Clients, row: dict[str, Any]) -> None:
    class FreeTier:
        def get_free_tier_usage(self, **_: Any) -> dict[str, Any]:
            good = {"service": "Amazon Simple Storage Service", "usageType": "Requests-Tier2", "limit": 9.0}
            return {"freeTierUsages": [row, {**good, "actualUsageAmount": 3.0, "unit": "Requests"}]}

    clients["freetier"] = FreeTier()
    report = await make().read_free_tier()
    assert [offer.used for offer in report.offers] == [3.0]
    assert report.limits.s3_get_requests_monthly == 9
