"""Pictures by an OpenAI-compatible service, in OpenAI's shape or SiliconFlow's."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from providers.addresses import authority
from providers.media import HEAD_BYTES, PICTURE_LIMIT_BYTES, PICTURES, media_type
from providers.openai import Answer, OpenAIClient
from providers.protocol import ImageResult
from settings import Settings

# Base64 is a third longer than what it holds.
ANSWER_LIMIT_BYTES = PICTURE_LIMIT_BYTES * 4 // 3 + (1 << 20)


class OpenAIImages:
    """`trusted_hosts` is for fetching the pictures: a service in the house may give links to itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = OpenAIClient(settings, settings.image_timeout_seconds)
        self.trusted_hosts = frozenset({authority(settings.openai_base_url)})

    async def generate(self, prompt: str, index: int) -> ImageResult:
        answer = await self._client.post(
            "/images/generations", _body(self._settings, prompt, index), ANSWER_LIMIT_BYTES
        )
        return _result(answer)

    async def check(self) -> None:
        await self._client.check("OPENAI_IMAGE_MODEL", self._settings.openai_image_model)

    async def aclose(self) -> None:
        await self._client.aclose()


def _body(settings: Settings, prompt: str, index: int) -> dict[str, Any]:
    body: dict[str, Any] = {"model": settings.openai_image_model, "prompt": prompt}
    if _shape(settings) == "openai":
        return body | {"n": 1, "size": settings.openai_image_size}
    # One seed an image, so that four images of one prompt differ even where the service's own default is fixed.
    return body | {"batch_size": 1, "image_size": settings.openai_image_size, "seed": index + 1}


def _shape(settings: Settings) -> str:
    if settings.openai_image_shape != "auto":
        return settings.openai_image_shape
    host = urlsplit(settings.openai_base_url).hostname or ""
    return "siliconflow" if "siliconflow" in host else "openai"


def _result(answer: Answer) -> ImageResult:
    pictures = answer.body.get("data") or answer.body.get("images")
    first = pictures[0] if isinstance(pictures, list) and pictures else None
    if not isinstance(first, dict):
        raise answer.bad("The service answered without a picture.")
    encoded, url = first.get("b64_json"), first.get("url")
    if isinstance(url, str) and url.startswith("data:"):
        encoded = url
    if isinstance(encoded, str) and encoded:
        return ImageResult(content=_decoded(encoded, answer))
    if isinstance(url, str) and url:
        return ImageResult(url=url)
    raise answer.bad("The service answered without a picture.")


def _decoded(encoded: str, answer: Answer) -> bytes:
    # In lines, as a data URL, without padding: a picture that is paid for is not refused for its wrapping.
    plain = "".join(encoded.split())
    if plain.startswith("data:"):
        plain = plain.partition(",")[2]
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise answer.bad("The service's picture is not base64.") from None
    if media_type(content[:HEAD_BYTES], len(content)) not in PICTURES:
        raise answer.bad("The service's picture is no PNG, JPEG or WebP.")
    return content
