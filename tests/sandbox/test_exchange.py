"""Bodies from outside are decoded within bounds, and refused by name beyond them."""

import gzip
import zlib

import pytest

from aegis.sandbox.exchange import TooLarge, Unreadable, clip, decompress, read_json
from aegis.sandbox.tokens import count, cut


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_a_packed_body_comes_out_whole_and_never_larger_than_its_bound(encoding: str, pack: type[bytes]) -> None:
    assert decompress(pack(b"a" * 1_000), encoding, 1_000) == b"a" * 1_000
    with pytest.raises(TooLarge):
        decompress(pack(b"a" * 1_001), encoding, 1_000)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"no gzip", "gzip"), (gzip.compress(b"a" * 99, mtime=0)[:-9], "gzip"), (b"", "deflate"), (b"x", "br")],
)
def test_a_broken_or_unknown_packing_is_refused(body: bytes, encoding: str) -> None:
    with pytest.raises(Unreadable):
        decompress(body, encoding, 1_000)


def test_deep_nesting_is_no_json() -> None:
    with pytest.raises(Unreadable):
        read_json(b"[" * 5_000 + b"]" * 5_000)


def test_a_clipped_text_is_one_line_of_at_most_its_length() -> None:
    assert clip("a\n b\t c", 10) == "a b c"
    assert clip("a" * 20, 10) == "a" * 9 + "…"


def test_there_are_never_more_tokens_than_bytes_and_a_cut_holds() -> None:
    for text in ("", "a", "data leaves", "данные", "😀" * 9):
        assert count(text) <= len(text.encode())
        assert count(cut(text, 2)) <= 2
