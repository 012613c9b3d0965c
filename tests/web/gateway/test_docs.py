"""docs/gateway.md is true: every configuration that it shows loads and says what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aegis.config.load import load

PAGE = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("shown", SHOWN)
def test_what_the_page_shows_loads(tmp_path: Path, shown: str) -> None:
    path = tmp_path / "aegis.yaml"
    path.write_text(shown)
    load([path])


def test_the_chain_and_the_region_of_the_page_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "aegis.yaml"
    path.write_text(next(shown for shown in SHOWN if "fallback" in shown))
    assert load([path]).gateway.fallback == {"claude-opus-*": ("claude-haiku-4-5", "gpt-6-luna")}
    path.write_text(next(shown for shown in SHOWN if "region" in shown))
    (bedrock,) = load([path]).gateway.upstreams
    assert (bedrock.kind, bedrock.auth) == ("bedrock", "sigv4")
    assert bedrock.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
