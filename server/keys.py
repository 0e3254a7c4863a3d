"""The key set that tokens are checked with, fetched from where JWT_JWKS_URL says and fetched again when it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import jwt
import structlog

FRESH_SECONDS = 300
"""Keys older than this are fetched again; meanwhile, and while that fails, they go on working."""
PAUSE_SECONDS = 5
"""Between two fetches, whoever asks: a made-up key id must not make us fetch."""
FETCH_SECONDS = 5
LARGEST_SET = 1 << 20
FAULTS = (httpx.HTTPError, jwt.PyJWTError, OSError, ValueError, TypeError, AttributeError, LookupError)
"""What a server that is away, or a body that is no key set, leads to."""

log = structlog.get_logger(__name__)


class KeysUnavailable(Exception):
    """The key set cannot be fetched, so that nobody can be told apart now."""


class UnknownKey(Exception):
    """The key set does not have that key."""


class KeySet:
    """Public keys by their ids."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._failed = False
        self._turn = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """The key of that id, or the only one; raises `UnknownKey` and `KeysUnavailable`."""
        found = self._find(key_id)
        if found is None:
            await self._refresh()
            found = self._find(key_id)
        elif time.monotonic() - self._fetched_at > FRESH_SECONDS and not self._turn.locked():
            self._refreshing = asyncio.create_task(self._refresh())
        if found is not None:
            return found
        if self._failed:
            raise KeysUnavailable("The keys that tokens are checked with cannot be fetched. Try again soon.")
        raise UnknownKey("it is signed with a key that is not in the key set")

    async def check(self) -> None:
        """Fetch the keys; raises `KeysUnavailable` with what to do."""
        try:
            self._keys = await self._fetched()
        except FAULTS as error:
            host = urlsplit(self._url).hostname
            raise KeysUnavailable(
                f"JWT_JWKS_URL: {host} gives no key set ({type(error).__name__}); correct the URL, or mend the host"
            ) from None

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        async with self._turn:
            if time.monotonic() - self._tried_at < PAUSE_SECONDS:
                return
            try:
                self._keys = await self._fetched()
            except FAULTS as error:
                self._failed = True
                log.warning("the key set cannot be fetched", url=self._url, error=str(error) or type(error).__name__)
            else:
                self._failed = False
                self._fetched_at = time.monotonic()
            self._tried_at = time.monotonic()

    async def _fetched(self) -> Mapping[str | None, jwt.PyJWK]:
        body = bytearray()
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(timeout=FETCH_SECONDS) as client,
            client.stream("GET", self._url) as response,
        ):
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_SET:
                    raise ValueError("it is too large")
        keys = jwt.PyJWKSet.from_json(body.decode()).keys
        return {key.key_id: key for key in keys if key.public_key_use in (None, "sig")}
