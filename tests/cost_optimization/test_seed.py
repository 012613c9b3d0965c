"""The specification's own code blocks run, with nothing but the import path changed, on AWS clients that check every
request against the published models.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from tests.cost_optimization.aws import Clients

from aegis.cost_optimization import RequestPriority, ServiceType, UsageTracker

pytestmark = pytest.mark.anyio

SEED = "seeds/002_86b3bad08bf2461d.txt"
PATHS = (
    ("from config.aws_config import", "from aegis.cost_optimization.aws_config import"),
    ("from cost_optimization", "from aegis.cost_optimization"),
)


def blocks(shared: Path) -> list[str]:
    """The python blocks of the specification, with our import path."""
    text = (shared / SEED).read_text(encoding="utf-8", errors="replace")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for theirs, ours in PATHS:
        found = [block.replace(theirs, ours) for block in found]
    return found


async def run(block: str, names: dict[str, Any]) -> None:
    """Run a block that may await at its top level."""
    code = compile(block, "seed", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # the block's own text, from the evidence folder
    if inspect.isawaitable(result):
        await result


async def test_every_python_block_of_the_specification_runs(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    found = blocks(shared)
    assert len(found) == 9
    clients = Clients(shared)
    # What the blocks use without making it: they are excerpts of one program.
    names: dict[str, Any] = {
        "ServiceType": ServiceType,
        "RequestPriority": RequestPriority,
        "query": "SELECT 1",
        "parameters": {"timeframe": "last_24h"},
        "result": {"rows": [1]},
        "input_data": {"events": [1, 2]},
        "model_id": "global.anthropic.claude-haiku-5-5",
        "insight": "nothing to see",
        "args": ("a",),
        "kwargs": {"word": "b"},
        "my_function": lambda first, word: f"{first}{word}",
    }
    assert "create_aws_clients()" in found[0]
    quick_start = found[0].replace("aws_clients = create_aws_clients()", "aws_clients = stubs(create_aws_clients())")
    names["stubs"] = lambda made: clients | {"made": made}
    try:
        for number, block in enumerate([quick_start, *found[1:]]):
            await run(block, names)
            if number == 0:
                tracker = names["usage_tracker"] = UsageTracker(names["aws_clients"], engine=names["optimizer"].engine)
                assert isinstance(names["aws_clients"]["made"], dict)
        assert names["insight"]["text"] == clients.bedrock.text
        assert names["result"] == "ab", "the function ran under the throttle with its arguments"
        assert names["usage_percentage"] > 0
        assert names["cached_result"]["rows"] == [{"source_ip": "10.0.0.1", "severity": "HIGH"}]
        assert names["optimal_model"] == "global.anthropic.claude-sonnet-5-5"
        assert tracker.limits.quotas() == names["limits"].quotas()
        assert names["optimizer"].throttling_manager.emergency_mode
    finally:
        names["optimizer"].close()
    printed = capsys.readouterr().out
    for words in ("Free Tier Usage: within_limits", "athena: 0.0% of Free Tier", "Cache hit rate: ", "monthly cost: $"):
        assert words in printed
    assert clients.cloudwatch.requests("PutMetricData")
