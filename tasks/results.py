"""Results that a provider gave as a URL: from where they may be fetched, and how large they may be."""

from __future__ import annotations

from pathlib import Path

from providers.addresses import authority
from providers.fetch import Fetched, fetch
from providers.media import MESHES, PICTURES
from settings import Settings

IMAGE_LIMIT_BYTES = 32 << 20
MODEL_LIMIT_BYTES = 2 << 30
IMAGE_FETCH_SECONDS = 60.0
MODEL_FETCH_SECONDS = 600.0


def _trusted(settings: Settings) -> list[str]:
    """Services that the operator named may keep their results where they answer, in-house too."""
    return [authority(url) for url in (settings.openai_base_url, settings.tencentcloud_endpoint) if url]


async def fetch_image(settings: Settings, url: str) -> Fetched:
    return await fetch(
        url,
        None,
        limit_bytes=IMAGE_LIMIT_BYTES,
        timeout=IMAGE_FETCH_SECONDS,
        allowed_types=PICTURES,
        trusted_hosts=_trusted(settings),
    )


async def fetch_model(settings: Settings, url: str, into: Path) -> Fetched:
    return await fetch(
        url,
        into,
        limit_bytes=MODEL_LIMIT_BYTES,
        timeout=MODEL_FETCH_SECONDS,
        allowed_types=MESHES,
        trusted_hosts=_trusted(settings),
    )
