"""Which addresses a provider may send this program to: none of its own host or network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from events.outcome import FailureCode
from providers.protocol import ProviderError

ANYWHERE = frozenset({"*"})
"""The `trusted_hosts` of one whose links may point to any host."""

_PORTS = {"http": 80, "https": 443}
# What is not globally reachable, as Python 3.11 knows too little of it, and a service of Azure's hosts (168.63.129.16).
# https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry; of the small
# blocks that are reachable within a larger one that is not, such as anycast to relays, none keeps results.
_NOT_PUBLIC_4 = [
    IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
    )
]
# The rest of IPv6 is not given out: loopback, mapped, local, multicast and more. Teredo is in 2001::/23.
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "3fff::/20")]
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = 0x0000_5EFE


def authority(url: str) -> str:
    """`host:port` of an http or https URL, the port being its scheme's where the URL names none."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet: not loopback, link-local, private, multicast, metadata."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        # Mapped and NAT64 stand for IPv4 alone; what is routed as IPv6 on the way has to be public as well.
        outer = ip.ipv4_mapped is not None or ip in _NAT64 or _is_public_6(ip)
        return outer and (inner is None or _is_public_4(inner))
    return _is_public_4(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    return not any(ip in block for block in _NOT_PUBLIC_4)


def _is_public_6(ip: IPv6Address) -> bool:
    return ip in _GLOBAL_6 and not any(ip in block for block in _NOT_PUBLIC_6)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that what is sent to `ip` may end at."""
    # ISATAP's identifier has one bit more where the IPv4 address is said to be global.
    if ip in _NAT64 or (int(ip) >> 32) & 0xFDFF_FFFF == _ISATAP:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


async def addresses(host: str, port: int, trusted_hosts: Collection[str]) -> tuple[str, ...]:
    """The IP addresses to connect to for `host`, all of them checked; connect to these and to nothing else.

    A `host:port` in `trusted_hosts` passes unchecked, and with `ANYWHERE` every one. Raises `ProviderError`: BAD_OUTPUT
    where one of the addresses is not public, PROVIDER_UNAVAILABLE where the name does not resolve.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        message = f"The host {host} that the provider keeps its results on cannot be found."
        raise ProviderError(FailureCode.PROVIDER_UNAVAILABLE, message, retryable=True) from None
    unique = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    trusted = not ANYWHERE.isdisjoint(trusted_hosts) or f"{host}:{port}" in trusted_hosts
    if not trusted and not all(is_public(address) for address in unique):
        message = f"The provider sent a link to {host}, which is not on the public internet."
        raise ProviderError(FailureCode.BAD_OUTPUT, message, retryable=False)
    return unique
