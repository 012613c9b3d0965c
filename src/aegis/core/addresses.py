"""Which network addresses are public: asked before a connection is opened and before an address is looked up outside.

Fails closed: a text that is no address is not public.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address, which may be a private one."""


DOCUMENTATION = tuple(
    ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text names (`10.0.0.1`, `[::1]`, `fe80::1%eth0`), or None for anything else."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return _embedded(address) or address


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4, Teredo or NAT64 one: such an address leads there."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None


def is_documentation_address(text: str) -> bool:
    """Whether a text is an address that belongs to nobody and stands for a public one in examples (RFC 5737, 3849)."""
    address = parse_address(text)
    return address is not None and any(address in network for network in DOCUMENTATION)


def is_public_address(text: str) -> bool:
    """Whether a text is an address that the public Internet routes to (IANA special-purpose registries).

    Private, loopback, link-local (cloud metadata), shared, reserved, documentation and multicast ones are not.
    """
    address = parse_address(text)
    return address is not None and address.is_global and not address.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine: `localhost`, `127.0.0.0/8`, `::1`."""
    address = parse_address(host)
    return host.rstrip(".").lower() == "localhost" if address is None else address.is_loopback
