"""Fetching a picture that a provider gave as a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from providers.fetch import fetch
from providers.media import PICTURES
from providers.protocol import ProviderError

LIMIT_BYTES = 32 << 20
TIMEOUT_SECONDS = 60
TRIES = 3
PAUSE_SECONDS = 0.5


async def download_picture(url: str, *, trusted_hosts: Collection[str] = ()) -> bytes:
    """The bytes of a PNG, JPEG or WebP of up to LIMIT_BYTES. Raises `ProviderError`.

    It tries TRIES times by itself: the picture is drawn and paid for, and drawing it again costs as much once more.
    """
    for left in range(TRIES - 1, -1, -1):
        try:
            fetched = await fetch(
                url,
                None,
                limit_bytes=LIMIT_BYTES,
                timeout=TIMEOUT_SECONDS,
                allowed_types=PICTURES,
                trusted_hosts=trusted_hosts,
            )
        except ProviderError as error:
            if not error.failure.retryable or not left:
                raise
            await asyncio.sleep(PAUSE_SECONDS * (TRIES - left))
        else:
            break
    return fetched.content
