"""A burst of incidents with three services down: each of them is worked, paged and delivered in the end."""

from pathlib import Path

import pytest
from bench.burst import DOWN, burst

pytestmark = pytest.mark.anyio

PAGE_SECONDS_MAX = 5
RSS_GROWN_MB_MAX = 300


async def test_nothing_of_a_burst_is_lost_and_the_critical_one_is_paged_first(tmp_path: Path, long: bool) -> None:
    incidents, seconds = (10_000, 60.0) if long else (150, 1.0)

    seen = await burst(tmp_path, incidents=incidents, seconds=seconds)

    assert seen["incidents"] >= incidents + 1
    assert seen["critical_page_s"] < PAGE_SECONDS_MAX
    for ends in seen["deliveries"].values():
        assert set(ends) <= {"done", "superseded"}
        assert ends["done"] >= incidents + 1
    assert seen["received"]["pagerduty"] >= incidents + 1
    assert set(DOWN) <= set(seen["deliveries"])
    assert seen["rss_grown_mb"] < RSS_GROWN_MB_MAX
