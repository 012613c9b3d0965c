"""Every connector has a page, and it names the least permission that is enough."""

from pathlib import Path

import pytest

from aegis.connectors.registry import CONNECTORS

PAGES = Path(__file__).parents[2] / "docs" / "connectors"


@pytest.mark.parametrize("name", [*sorted(CONNECTORS), "prometheus"])
def test_every_page_names_the_least_permission(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert "**Least permission.**" in page
    assert f"]({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")
