"""Fetching a result that a provider gave as a URL, with bounds on where, how much, how long and what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from ssl import SSLContext

import httpx

from events.outcome import FailureCode
from providers.addresses import addresses
from providers.media import HEAD_BYTES, media_type
from providers.protocol import ProviderError
from providers.retry_after import retry_after

MAX_REDIRECTS = 5
MAX_HOST_CHARACTERS = 253
MAX_PORT = 65_535
QUIET = httpx.Timeout(30, connect=10)

# httpx logs each URL at INFO, and the URLs of results carry signatures that open them.
logging.getLogger("httpx").setLevel(logging.WARNING)

Write = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: its media type by its first bytes, its size in bytes; `content` is empty where it went to a file."""

    media_type: str
    size: int
    content: bytes = b""


async def fetch(
    url: str,
    into: Path | None,
    *,
    limit_bytes: int,
    timeout: float,
    allowed_types: Collection[str],
    trusted_hosts: Collection[str] = (),
) -> Fetched:
    """Fetch `url` into the file `into`, or into memory where that is None.

    `timeout` is for the whole, in seconds; `allowed_types` are media types of `providers.media`. Only public addresses
    are connected to, redirects included; `trusted_hosts` are the `host:port` that may be elsewhere, such as the
    provider's own, or `ANYWHERE`. On any error the file is gone. Raises `ProviderError`: PROVIDER_UNAVAILABLE,
    retryable, where another try may help, BAD_OUTPUT where it would not.
    """
    try:
        async with asyncio.timeout(timeout):
            if into is None:
                content = bytearray()
                found, size = await _fetch(url, _appender(content), limit_bytes, allowed_types, trusted_hosts)
                return Fetched(found, size, bytes(content))
            found, size = await _fetch_file(url, into, limit_bytes, allowed_types, trusted_hosts)
            return Fetched(found, size)
    except TimeoutError:
        raise _unavailable(f"A result took longer than {timeout:g} seconds to fetch.") from None


def _appender(content: bytearray) -> Write:
    async def append(chunk: bytes) -> None:
        content.extend(chunk)

    return append


async def _fetch_file(
    url: str, into: Path, limit_bytes: int, allowed_types: Collection[str], trusted_hosts: Collection[str]
) -> tuple[str, int]:
    file = await asyncio.to_thread(into.open, "wb")
    try:
        with file:
            return await _fetch(
                url, lambda chunk: asyncio.to_thread(file.write, chunk), limit_bytes, allowed_types, trusted_hosts
            )
    except BaseException:
        into.unlink(missing_ok=True)  # noqa: ASYNC240  # an await here could be cancelled and leave the file
        raise


async def _fetch(
    url: str, write: Write, limit_bytes: int, allowed_types: Collection[str], trusted_hosts: Collection[str]
) -> tuple[str, int]:
    # A transport of its own keeps the environment's proxies out: they would undo the pinning of checked addresses.
    transport = httpx.AsyncHTTPTransport(verify=_tls())
    try:
        async with httpx.AsyncClient(transport=transport, timeout=QUIET) as client:
            target = httpx.URL(url)
            for _ in range(MAX_REDIRECTS + 1):
                response = await _open(client, target, trusted_hosts)
                try:
                    if not response.has_redirect_location:
                        return await _receive(response, write, limit_bytes, allowed_types)
                    target = target.join(response.headers["location"])
                finally:
                    await response.aclose()
    except (httpx.InvalidURL, UnicodeError):
        # UnicodeError: httpx lets out what it meets in a host that only looks like an international name.
        raise _bad("The provider sent a link that is no URL.") from None
    except httpx.TransportError as error:
        raise _unavailable(f"The connection broke while a result was fetched ({type(error).__name__}).") from None
    raise _bad(f"The provider's link leads through more than {MAX_REDIRECTS} redirects.")


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context()


async def _open(client: httpx.AsyncClient, target: httpx.URL, trusted_hosts: Collection[str]) -> httpx.Response:
    if target.scheme not in {"http", "https"} or not target.host or target.userinfo:
        raise _bad("The provider sent a link that is not plain http or https.")
    host = target.raw_host.decode()
    port = target.port or (443 if target.scheme == "https" else 80)
    if len(host) > MAX_HOST_CHARACTERS or not 0 < port <= MAX_PORT:
        raise _bad("The provider sent a link that is no URL.")
    *others, last = await addresses(host, port, trusted_hosts)
    for address in others:
        try:
            return await _send(client, target, address)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await _send(client, target, last)


async def _send(client: httpx.AsyncClient, target: httpx.URL, address: str) -> httpx.Response:
    """Ask the address that was checked, under the name that was asked for: nothing is resolved a second time."""
    request = client.build_request(
        "GET",
        target.copy_with(host=address),
        headers={"Host": target.netloc.decode(), "Accept-Encoding": "identity"},
        extensions={"sni_hostname": target.raw_host.decode()},
    )
    return await client.send(request, stream=True)


async def _receive(
    response: httpx.Response, write: Write, limit_bytes: int, allowed_types: Collection[str]
) -> tuple[str, int]:
    _check_status(response)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _bad("The provider sent a compressed result that was not asked for.")
    length = response.headers.get("content-length")
    expected = int(length) if length is not None and length.isdecimal() else None
    if expected is not None and expected > limit_bytes:
        raise _too_large(limit_bytes)
    head, size, checked = bytearray(), 0, False
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if len(head) < HEAD_BYTES:
            head.extend(chunk[: HEAD_BYTES - len(head)])
        if not checked and len(head) == HEAD_BYTES:
            # Early, so that an error page or a film is not fetched to its end. Only a binary STL has to wait for it.
            checked = True
            if expected is not None or "model/stl" not in allowed_types:
                _allowed(bytes(head), expected, allowed_types)
        await write(chunk)
    if expected is not None and size != expected:
        raise _unavailable("A result broke off before its end.")
    return _allowed(bytes(head), size, allowed_types), size


def _check_status(response: httpx.Response) -> None:
    if response.status_code == 200:
        return
    wait = retry_after(response.headers.get("retry-after"))
    # 4xx too: the link may have run out, and asking the provider again brings a fresh one.
    raise _unavailable(f"A result could not be fetched: the answer was HTTP {response.status_code}.", wait)


def _allowed(head: bytes, size: int | None, allowed_types: Collection[str]) -> str:
    found = media_type(head, size)
    if found is None or found not in allowed_types:
        what = found or "of an unknown type"
        raise _bad(f"The provider's result is {what}; expected was {' or '.join(sorted(allowed_types))}.")
    return found


def _too_large(limit_bytes: int) -> ProviderError:
    return _bad(f"The provider's result is larger than {limit_bytes / 1e6:g} MB.")


def _bad(message: str) -> ProviderError:
    return ProviderError(FailureCode.BAD_OUTPUT, message, retryable=False)


def _unavailable(message: str, wait: float | None = None) -> ProviderError:
    return ProviderError(FailureCode.PROVIDER_UNAVAILABLE, message, retryable=True, retry_after=wait)
