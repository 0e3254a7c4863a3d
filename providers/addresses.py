"""Which addresses a provider may send this program to: none of its own host or network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from events.outcome import FailureCode
from providers.protocol import ProviderError

ANYWHERE = frozenset({"*"})
"""The `trusted_hosts` of one whose links may point to any host."""

_PORTS = {"http": 80, "https": 443}
# A service of the host's own that answers on a public address (Azure), and IPv4 in the clothes of IPv6 (NAT64).
_HOST_SERVICE = ip_address("168.63.129.16")
_NAT64 = ip_network("64:ff9b::/96")


def authority(url: str) -> str:
    """`host:port` of an http or https URL, the port being its scheme's where the URL names none."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet: not loopback, link-local, private, multicast, metadata."""
    ip = _unwrapped(ip_address(address))
    return ip.is_global and not ip.is_multicast and ip != _HOST_SERVICE


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


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
