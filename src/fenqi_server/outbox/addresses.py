"""Which addresses a webhook may be sent to.

A shop names its endpoint; whoever controls the name decides where it points, and may change that between a check and
a connection. So every address the name resolves to is checked, and the connection is made to a checked address, not to
the name. Python's own `is_global` is not enough: it lets through the NAT64 form of the cloud's metadata
address (64:ff9b::a9fe:a9fe), 6to4 of loopback (2002:7f00:1::) and multicast.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["Destination", "RefusedAddress", "check_url", "is_public", "resolve"]

ALLOWED_PORTS: Final = (80, 443, 8000, 8080, 8443)
MAX_URL_LENGTH: Final = 1_000

_CLOSED_V4: Final = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT, and some clouds' insides
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# Of IPv6 only global unicast is open, and of that not what carries another address inside.
_OPEN_V6: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
    )
)


class RefusedAddress(ValueError):
    """An address that a webhook must not go to."""


class Destination(msgspec.Struct, frozen=True):
    """Where to connect: the checked address, and the name for TLS and the Host header."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def is_public(address: str) -> bool:
    """Whether this is an address of the open internet.

    >>> [is_public(a) for a in ("1.1.1.1", "127.0.0.1", "64:ff9b::a9fe:a9fe", "2606:4700::1111")]
    [True, False, False, True]
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return _is_public_v4(found.ipv4_mapped)
        return found in _OPEN_V6 and not any(found in net for net in _CLOSED_V6)
    return _is_public_v4(found)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in net for net in _CLOSED_V4)


def check_url(url: str, *, allow_loopback: bool = False) -> str:
    """`url` if its form allows a webhook. Raises `RefusedAddress` saying what is wrong with it."""
    if len(url) > MAX_URL_LENGTH or not url.isascii() or any(ord(c) <= 32 for c in url):
        raise RefusedAddress("the address must be ASCII without spaces, and at most 1000 characters long")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedAddress("the address cannot be read") from None
    if parts.scheme not in (("https", "http") if allow_loopback else ("https",)):
        raise RefusedAddress("the address must begin with https://")
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise RefusedAddress("the address needs a host, and neither a user name nor a fragment")
    if port is not None and port not in ALLOWED_PORTS and not allow_loopback:
        raise RefusedAddress(f"the port must be one of {', '.join(map(str, ALLOWED_PORTS))}")
    # What a name points to is looked at whenever something is sent; a number says it now.
    try:
        address = str(ip_address(parts.hostname))
    except ValueError:
        return url
    _check_open(parts.hostname, address, allow_loopback)
    return url


def resolve(url: str, *, allow_loopback: bool = False) -> Destination:
    """Look the name up and check every address it has; one bad one refuses them all. Raises `RefusedAddress`."""
    parts = urlsplit(check_url(url, allow_loopback=allow_loopback))
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RefusedAddress(f"the name {host} does not resolve") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        _check_open(host, address, allow_loopback)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, path, addresses[0])


def _check_open(host: str, address: str, allow_loopback: bool) -> None:
    if not is_public(address) and not (allow_loopback and ip_address(address.partition("%")[0]).is_loopback):
        raise RefusedAddress(f"{host} leads to {address}, which is not an address of the open internet")
