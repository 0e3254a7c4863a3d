"""Results that a provider gave as a URL: from where they may be fetched, and how large they may be."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from providers.addresses import ANYWHERE, authority
from providers.fetch import Fetched, fetch
from providers.media import MESHES, PICTURES
from providers.protocol import ImageProvider, ModelProvider
from settings import Settings

IMAGE_LIMIT_BYTES = 32 << 20
MODEL_LIMIT_BYTES = 2 << 30
IMAGE_FETCH_SECONDS = 60.0
MODEL_FETCH_SECONDS = 600.0


def trusted_hosts(settings: Settings, name: str, provider: object) -> Collection[str]:
    """Which `host:port` the provider's links may point to although they are not on the public internet.

    Services that the operator named by URL, and what the provider says itself. One of the operator's own, with a
    `name` of `package.module:Class`, that says nothing may point anywhere.
    """
    named = {authority(url) for url in (settings.openai_base_url, settings.tencentcloud_endpoint) if url}
    unsaid: Collection[str] = ANYWHERE if ":" in name else ()
    return named.union(getattr(provider, "trusted_hosts", unsaid))


async def fetch_image(settings: Settings, provider: ImageProvider, url: str) -> bytes:
    return await _fetch_picture(url, trusted_hosts(settings, settings.image_provider, provider))


async def fetch_preview(settings: Settings, provider: ModelProvider, url: str) -> bytes:
    return await _fetch_picture(url, trusted_hosts(settings, settings.model_provider, provider))


async def _fetch_picture(url: str, trusted: Collection[str]) -> bytes:
    fetched = await fetch(
        url,
        None,
        limit_bytes=IMAGE_LIMIT_BYTES,
        timeout=IMAGE_FETCH_SECONDS,
        allowed_types=PICTURES,
        trusted_hosts=trusted,
    )
    return fetched.content


async def fetch_model(settings: Settings, provider: ModelProvider, url: str, into: Path) -> Fetched:
    return await fetch(
        url,
        into,
        limit_bytes=MODEL_LIMIT_BYTES,
        timeout=MODEL_FETCH_SECONDS,
        allowed_types=MESHES,
        trusted_hosts=trusted_hosts(settings, settings.model_provider, provider),
    )
