"""Claims about how values are written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.config import scalars
from aegis.config.load import load
from aegis.config.problems import InvalidConfig
from aegis.core.buckets import Rate
from aegis.core.money import format_usd

PARSERS = (scalars.amount, scalars.duration, scalars.days, scalars.rate, scalars.size, scalars.count, scalars.percent)


@given(st.integers(0, 2**63 - 1))
def test_every_amount_comes_back_as_it_was_written(nanos: int) -> None:
    assert scalars.amount(format_usd(nanos)) == nanos


@given(st.text(max_size=20))
def test_any_text_is_read_exactly_or_refused_with_a_sentence(text: str) -> None:
    for parse in PARSERS:
        try:
            value = parse(text)
        except ValueError as error:
            assert str(error).startswith("must ")  # noqa: PT017 - the other way out is a value
        else:
            assert isinstance(value, Rate) or value >= 0


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("250ms", 250),
        ("60s", 60_000),
        ("5m", 300_000),
        ("24h", 86_400_000),
        ("1h30m", 5_400_000),
        ("2w", 1_209_600_000),
    ],
)
def test_a_duration(text: str, milliseconds: int) -> None:
    assert scalars.duration(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("10TB", 10**13), ("1TiB", 2**40), ("1.5 GB", 1_500_000_000), ("10000000", 10**7), ("4kb", 4_000)],
)
def test_a_size(text: str, size: int) -> None:
    assert scalars.size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/minute", Rate(count=10, per_ms=60_000)),
        ("4 / min", Rate(count=4, per_ms=60_000)),
        ("500/day", Rate(count=500, per_ms=86_400_000)),
        ("5/30s", Rate(count=5, per_ms=30_000)),
        ("10/minute burst 100", Rate(count=100, per_ms=60_000, kind="token", refill=10)),
    ],
)
def test_a_rate(text: str, rate: Rate) -> None:
    assert scalars.rate(text) == rate


@pytest.mark.parametrize("text", ["", "0s", "1h 30m", "99999d", "1.5h", "-1s", "60", "m"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        scalars.duration(text)


@given(st.decimals(0, 10**5, places=6))
def test_a_count_is_whole_or_refused(number: Decimal) -> None:
    text = f"{number}k"
    try:
        assert scalars.count(text) == number * 1_000
    except ValueError:
        assert number * 1_000 % 1


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("https://api.example.com/v1", True), ("http://127.0.0.1:9/x", True), ("http://[::1]", True), ("http://localhost:1", True),
        ("http://10.0.0.1", False), ("https://", False), ("https://user:pw@x.example", False), ("ftp://x.example", False),
        ("https://a b.example", False), ("https://[x", False), ("https://x.example:99999", False), ("file:///etc/passwd", False),
        ("http://127.0.0.1.evil.example", False), ("http://127.0.0.1@evil.example", False), ("https://x\n.example", False),
    ],
)  # fmt: skip
def test_an_address_is_https_or_this_machine(address: str, taken: bool) -> None:
    flags = {"services.openai.base_url": address}
    if taken:
        assert load(flags=flags).services["openai"].base_url == address
    else:
        with pytest.raises(InvalidConfig, match="must be an https:// address"):
            load(flags=flags)
