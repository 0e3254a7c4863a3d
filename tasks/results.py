"""Results that a provider gave as a URL: from where they may be fetched, and how large they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from providers.addresses import ANYWHERE
from providers.fetch import fetch
from providers.media import MESHES, PICTURE_LIMIT_BYTES, PICTURES
from providers.protocol import ImageProvider, ModelProvider, ProviderError
from settings import Settings

MODEL_LIMIT_BYTES = 2 << 30
PICTURE_SECONDS = 60.0
MODEL_SECONDS = 600.0
PICTURE_TRIES = 3
PAUSE_SECONDS = 0.5


def trusted_hosts(name: str, provider: object) -> Collection[str]:
    """Which `host:port` the provider's links may point to although they are not on the public internet.

    What the provider says. One of the operator's own, with a `name` of `package.module:Class`, that says nothing may
    point anywhere.
    """
    unsaid: Collection[str] = ANYWHERE if ":" in name else ()
    return getattr(provider, "trusted_hosts", unsaid)


async def fetch_image(settings: Settings, provider: ImageProvider, url: str) -> bytes:
    """It is tried PICTURE_TRIES times: the picture is paid for, and drawing it again costs as much once more."""
    return await _fetch_picture(url, trusted_hosts(settings.image_provider, provider), PICTURE_TRIES)


async def fetch_preview(settings: Settings, provider: ModelProvider, url: str) -> bytes:
    """It is tried once: Maquette can draw one itself."""
    return await _fetch_picture(url, trusted_hosts(settings.model_provider, provider), 1)


async def _fetch_picture(url: str, trusted: Collection[str], tries: int) -> bytes:
    """The bytes of a PNG, JPEG or WebP. Raises `ProviderError`."""
    for left in range(tries - 1, -1, -1):
        try:
            fetched = await fetch(
                url,
                None,
                limit_bytes=PICTURE_LIMIT_BYTES,
                timeout=PICTURE_SECONDS,
                allowed_types=PICTURES,
                trusted_hosts=trusted,
            )
        except ProviderError as error:
            if not error.failure.retryable or not left:
                raise
            await asyncio.sleep(PAUSE_SECONDS * (tries - left))
        else:
            break
    return fetched.content


async def fetch_model(settings: Settings, provider: ModelProvider, url: str, into: Path) -> None:
    await fetch(
        url,
        into,
        limit_bytes=MODEL_LIMIT_BYTES,
        timeout=MODEL_SECONDS,
        allowed_types=MESHES,
        trusted_hosts=trusted_hosts(settings.model_provider, provider),
    )
