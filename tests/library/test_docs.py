"""Every code block of docs/library.md runs, on clients of our own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.cost_optimization.aws import Clients
from tests.library.stage import Client, Method, completion, thing

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## (.+?)$.*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_a_block_runs(
    title: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = Client(chat=thing(completions=thing(create=Method(completion()))))
    # The only change: the clients that are made are replaced by ours, which need no account.
    block = block.replace("create_aws_clients()", "stubs(create_aws_clients())")
    names = {"your_client": lambda: client, "stubs": lambda made: Clients() if made else {}}
    exec(compile(block, title, "exec"), names)  # our own documentation
    assert capsys.readouterr().out.strip()


def test_no_block_is_left_out() -> None:
    assert len(BLOCKS) == TEXT.count("```python") == 5
