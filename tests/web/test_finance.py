"""Claims about /api/forecast and /api/anomalies."""

from pathlib import Path

import pytest
from tests.web.faces import faced

pytestmark = pytest.mark.anyio


async def test_forecasts_and_anomalies_are_answered_to_who_may_read(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for path, schema in (("forecast?days=7", "aegis.forecast/1"), ("anomalies", "aegis.anomalies/1")):
            async with face.client.get(f"{face.address}/api/{path}", headers=face.bearer) as answer:
                document = await answer.json()
                assert (answer.status, document["schema"]) == (200, schema)
            if "forecasts" in document:
                last = document["forecasts"][-1]
                assert (last["budget"], last["confidence"], last["forecast_usd"], last["band"]) == (
                    "all calls", "none", None, None,
                )  # fmt: skip


async def test_an_anomaly_and_a_budget_that_there_are_not_are_refused_by_name(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for path, status in (("anomalies/ano_none", 404), ("forecast?budget=nothing", 404)):
            async with face.client.get(f"{face.address}/api/{path}", headers=face.bearer) as answer:
                assert answer.status in (status, 400, 422), await answer.text()
                assert "nothing" in await answer.text() or "ano_none" in await answer.text()
