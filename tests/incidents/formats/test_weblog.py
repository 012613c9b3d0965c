"""Access logs get Sigma's names, and what is no HTTP stays readable."""

import pytest

from aegis.incidents.formats.weblog import read_web

STAMP = "[03/Mar/2026:23:40:10 +0000]"


def test_the_combined_format() -> None:
    line = f'203.0.113.66 - bob {STAMP} "GET /a/b?x=1&y=2 HTTP/1.1" 200 512 "https://r.example/" "Mozilla/5.0 \\"x\\""'
    assert read_web(line) == {
        "c-ip": "203.0.113.66",
        "timestamp": "03/Mar/2026:23:40:10 +0000",
        "sc-status": 200,
        "sc-bytes": 512,
        "cs-username": "bob",
        "cs-referer": "https://r.example/",
        "cs-user-agent": 'Mozilla/5.0 \\"x\\"',
        "cs-method": "GET",
        "cs-uri": "/a/b?x=1&y=2",
        "cs-uri-stem": "/a/b",
        "cs-uri-query": "x=1&y=2",
        "cs-version": "HTTP/1.1",
        "message": line,
    }


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (f'2001:db8::9 - - {STAMP} "GET / HTTP/2.0" 304 -', "c-ip", "2001:db8::9"),
        (f'shop.example:443 203.0.113.66 - - {STAMP} "GET / HTTP/1.1" 200 1 "-" "-"', "cs-host", "shop.example"),
        (f'203.0.113.66 - - {STAMP} "\\x16\\x03\\x01" 400 226 "-" "-"', "cs-uri-stem", "\\x16\\x03\\x01"),
        (f'203.0.113.66 - - {STAMP} "-" 408 0 "-" "-"', "cs-method", "-"),
        (f'203.0.113.66 - - {STAMP} "GET / HTTP/1.1" 200 5 "-" "curl/8" "10.0.0.1" 0.003', "cs-user-agent", "curl/8"),
    ],
)
def test_variants(line: str, name: str, value: str) -> None:
    read = read_web(line)
    assert read is not None
    assert read[name] == value


@pytest.mark.parametrize(
    "line", ["", "hello world", '203.0.113.66 - - [x] "GET / HTTP/1.1" 200 1', "Mar  3 23:42:00 h sshd: x"]
)
def test_other_lines_are_none(line: str) -> None:
    assert read_web(line) is None


@pytest.mark.parametrize("piece", ['"' * 50_000, "\\" * 50_001, "x " * 25_000])
def test_long_hostile_text_is_read_in_no_time(piece: str) -> None:
    read_web(f'203.0.113.66 - - {STAMP} "{piece}')
    read_web(f"203.0.113.66 - {piece}")
