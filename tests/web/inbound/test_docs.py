"""The page about what comes in names every sender, and its template for Datadog is the one that is read."""

import json
import re
from pathlib import Path

from aegis.web.inbound.datadog import TEMPLATE
from aegis.web.inbound.senders import SENDERS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "inbound.md").read_text(encoding="utf-8")


def test_every_sender_has_its_address_on_the_page() -> None:
    for name in SENDERS:
        assert f"/inbound/{name}" in PAGE or name == "standard", name
    assert "## Any other sender: Standard Webhooks" in PAGE


def test_the_template_for_datadog_is_the_one_that_is_read() -> None:
    (written,) = re.findall(r"```json\n(\s+\{\s+\"id\".*?\})\n\s+```", PAGE, re.DOTALL)
    assert json.loads(written) == json.loads(TEMPLATE)
