"""Every known format is read; every bad line costs itself and nothing else."""

import gzip
import lzma
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.incidents.formats.reader import read_records
from aegis.incidents.formats.records import Bounds, Record, Rejected

SSHD = b"Mar  3 23:42:00 bastion-1 sshd[411]: Failed password for root from 203.0.113.66 port 40022 ssh2"
SMALL = Bounds(line_bytes=200, document_bytes=2_000, depth=4, keys=5, ratio=20, ratio_free_bytes=1_000)


def read(*chunks: bytes, at: str | None = None, bounds: Bounds | None = None) -> list[Record | Rejected]:
    return list(read_records(chunks, file="log", at=at, bounds=bounds))


def fields(items: Iterable[Record | Rejected]) -> list[object]:
    return [item.fields if isinstance(item, Record) else item.code for item in items]


def codes(items: Iterable[Record | Rejected]) -> list[tuple[int, str]]:
    return [(item.line, item.code) for item in items if isinstance(item, Rejected)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1}\n{"a":2}\n',
        b'\xef\xbb\xbf{"a":1}\r\n\r\n{"a":2}',
        b'[{"a":1},{"a":2}]',
        b'[\n  {"a": 1},\n  {"a": 2}\n]\n',
        b'{"Records":[{"a":1},{"a":2}]}',
        b'{\n  "Records": [\n    {"a": 1},\n    {"a": 2}\n  ]\n}',
        b'{"Records":[{"a":1}]}\n{"a":2}',
    ],
)
def test_json_lines_arrays_and_cloudtrail_files_hold_the_same_records(body: bytes) -> None:
    assert fields(read(body)) == [{"a": 1}, {"a": 2}]


def test_one_indented_object_is_one_record() -> None:
    assert fields(read(b'{\n  "a": {\n    "b": 1\n  }\n}\n')) == [{"a": {"b": 1}}]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40))
def test_where_the_chunks_are_cut_changes_nothing(numbers: list[int], size: int) -> None:
    body = b"\n".join(b'{"n":%d}' % n for n in numbers)
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    assert fields(read(*chunks)) == [{"n": n} for n in numbers]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_are_opened_whatever_their_name(pack: object) -> None:
    assert callable(pack)
    packed = pack(b'{"a":1}\n') + pack(b'{"a":2}\n')
    assert fields(read(*(packed[i : i + 7] for i in range(0, len(packed), 7)))) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_decompression_bomb_is_refused_by_name_after_what_was_good(pack: object) -> None:
    assert callable(pack)
    items = read(pack(b'{"a":1}\n' + b" " * 10_000_000), bounds=SMALL)
    assert [fields(items[:1]), codes(items[-1:])[0][1]] == [[{"a": 1}], "bomb"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_packed_file_that_was_cut_gives_what_it_held(pack: object) -> None:
    assert callable(pack)
    body = b"".join(b'{"n":%d}\n' % n for n in range(100_000))
    packed = pack(body)
    items = read(packed[: len(packed) // 2])
    assert len(items) > 1_000
    assert [item.code for item in items if isinstance(item, Rejected)] == ["truncated"]


def test_damaged_compression_is_refused_by_name() -> None:
    packed = bytearray(gzip.compress(b'{"a":1}\n' * 5_000))
    packed[40:60] = b"\x00" * 20
    assert "corrupt" in [code for _, code in codes(read(bytes(packed)))]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"a": ', "malformed"),
        (b"what is this", "malformed"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (SSHD + b"\xff", "invalid_utf8"),
        (b'{"a":"' + b"x" * 300 + b'"}', "too_long"),
        (b'{"a":' * 6 + b"1" + b"}" * 6, "too_deep"),
        (b"[" * 60 + b"]" * 60, "too_deep"),
        (b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}', "too_many_keys"),
        (b"[1]", "not_an_object"),
    ],
)
def test_a_bad_line_is_refused_by_name_and_the_rest_goes_on(line: bytes, code: str) -> None:
    items = read(b'{"a":1}\n' + line + b'\n{"a":2}\n', bounds=SMALL)
    assert codes(items) == [(2, code)]
    assert fields(item for item in items if isinstance(item, Record)) == [{"a": 1}, {"a": 2}]


def test_nesting_deeper_than_the_parser_can_go_is_too_deep() -> None:
    assert codes(read(b'{"a":1}\n' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000)) == [(2, "too_deep")]


def test_a_ten_megabyte_line_is_never_held() -> None:
    def endless() -> Iterable[bytes]:
        yield b'{"a":1}\n{"b":"'
        for _ in range(160):
            yield b"x" * 65_536
        yield b'"}\n{"a":2}\n'

    items = list(read_records(endless(), file="log"))
    assert codes(items) == [(2, "too_long")]
    assert isinstance(items[1], Rejected)
    assert len(items[1].text) == 200


def test_a_document_over_its_bound_is_refused_whole() -> None:
    body = b'{"Records":[' + b",".join([b'{"a":1}'] * 1_000) + b"]}"
    assert codes(read(body, bounds=SMALL)) == [(0, "too_large")]


def test_refused_text_is_clipped_and_printable() -> None:
    (item,) = read(b"\x1b[31mred\x00" + b"y" * 900)
    assert isinstance(item, Rejected)
    assert item.text.isprintable()
    assert len(item.text) == 200


def test_a_pointer_finds_the_record_in_each_row() -> None:
    rows = b'{"event":{"a":1}}\n{"other":2}\n{"event":[{"a":3},{"a":4}]}\n{"event":7}\n'
    assert fields(read(rows, at="/event")) == [{"a": 1}, "no_such_pointer", {"a": 3}, {"a": 4}, "not_an_object"]


def test_a_pointer_may_find_a_log_line() -> None:
    (item,) = read(orjson.dumps({"row": [{"raw": SSHD.decode()}]}), at="/row/0/raw")
    assert isinstance(item, Record)
    assert (item.form, item.fields["user"]) == ("sshd", "root")


def test_a_pointer_that_is_none_is_refused_before_reading() -> None:
    with pytest.raises(BadInput):
        read_records([], at="event")


def test_lines_of_different_formats_may_stand_in_one_file() -> None:
    web = b'203.0.113.9 - - [03/Mar/2026:23:40:10 +0000] "GET /.env HTTP/1.1" 404 0 "-" "curl/8"'
    forms = [item.form for item in read(SSHD + b"\n" + web + b'\n{"a":1}\n') if isinstance(item, Record)]
    assert forms == ["sshd", "web", "json"]


def test_a_binary_windows_log_that_cannot_be_opened_is_refused_by_name() -> None:
    ((line, code),) = codes(read(b"ElfFile\x00" + b"\x00" * 5_000))
    assert (line, code in {"unsupported", "corrupt"}) == (0, True)


@given(st.binary(max_size=400))
def test_no_bytes_whatever_raise(body: bytes) -> None:
    for item in read(body):
        assert isinstance(item, Record | Rejected)


@given(
    st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"Records", b":", b"\n", b"1", b",", b" "]), max_size=60)
)
def test_no_broken_json_whatever_raises(parts: list[bytes]) -> None:
    for item in read(b"".join(parts), at=None, bounds=SMALL):
        assert isinstance(item, Record | Rejected)
