"""axe-core, the accessibility checker, where a developer's machine has it (`dev.py test` asks npm for it; it is not ours to ship)."""

import hashlib
from pathlib import Path
from typing import Any

from tests.web.chromium import Page

SCRIPT = Path(__file__).resolve().parents[2] / ".venv" / "peers" / "node_modules" / "axe-core" / "axe.min.js"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
"""Of version 4.14.1: what is run inside our pages is what was looked at."""
THERE = SCRIPT.exists() and hashlib.sha256(SCRIPT.read_bytes()).hexdigest() == SHA256
RULES = (
    "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations']}"
)


async def serious_faults(page: Page) -> list[str]:
    """What axe finds on the open page that is serious or critical: rule, where, why."""
    await page.ask("Runtime.evaluate", expression=SCRIPT.read_text(encoding="utf-8"))
    answer = await page.ask(
        "Runtime.evaluate", expression=f"axe.run(document, {RULES})", awaitPromise=True, returnByValue=True
    )
    found: list[dict[str, Any]] = answer["result"]["value"]["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
