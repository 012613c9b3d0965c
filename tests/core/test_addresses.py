"""Claims about which addresses are public."""

import pytest

from aegis.core.addresses import is_loopback, is_public_address


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "[2606:4700::1111]", "::ffff:8.8.8.8"])
def test_routed_addresses_are_public(text: str) -> None:
    assert is_public_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1", "172.16.5.4", "192.168.1.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "100.64.0.1",
        "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1",
        "2002:0a00:0001::", "64:ff9b::10.0.0.1", "", "localhost", "8.8.8.8.8", "0x7f.1", "8.8.8.8 ", "٨.٨.٨.٨",
    ],
)  # fmt: skip
def test_everything_else_is_not_public(text: str) -> None:
    assert not is_public_address(text)


@pytest.mark.parametrize(
    ("host", "yes"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("127.9.9.9", True), ("[::1]", True), ("::ffff:127.0.0.1", True),
        ("localhost.evil.example", False), ("10.0.0.1", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_this_machine_only(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes
