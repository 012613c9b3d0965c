"""The core computes with whole numbers: a float anywhere in it is a bug waiting for a cent."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "src" / "aegis" / "core"
MONEY = ("money", "prices", "usage", "windows", "budgets", "buckets", "breakers", "throttles", "ledger", "escrow")


def floats(tree: ast.AST) -> list[str]:
    """Every float literal, use of `float`, and true division (a `/` between paths is none) in a module."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float()) | ast.Name(id="float") | ast.Attribute(attr="total_seconds"):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("module", sorted(CORE.glob("*.py")), ids=lambda path: path.stem)
def test_there_is_no_float_in_the_core(module: Path) -> None:
    found = floats(ast.parse(module.read_text(encoding="utf-8")))
    exact = [line for line in found if "Decimal" not in line]
    assert not exact, exact


@pytest.mark.parametrize(
    "planted", ["x = 0.5", "x = float(y)", "x = a / b", "x /= 2", "span.total_seconds()", "x: float"]
)
def test_the_ban_sees_what_it_bans(planted: str) -> None:
    assert floats(ast.parse(planted))


@pytest.mark.parametrize("module", MONEY)
def test_the_money_modules_are_there_to_be_checked(module: str) -> None:
    assert (CORE / f"{module}.py").is_file()
