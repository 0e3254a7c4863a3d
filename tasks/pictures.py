"""Pictures that a provider gave, seen to be ones before they are kept."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from events.outcome import FailureCode
from providers.media import HEAD_BYTES, media_type
from providers.protocol import ProviderError

MOST_PIXELS = 64_000_000
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def check_picture(content: bytes) -> str:
    """The media type of a picture that opens; raises `ProviderError`."""
    kind = media_type(content[:HEAD_BYTES], len(content))
    try:
        if kind not in EXTENSIONS:
            raise UnidentifiedImageError
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UnidentifiedImageError
            picture.load()
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ProviderError(
            FailureCode.BAD_OUTPUT, "What the image provider gave is no PNG, JPEG or WebP picture.", True
        ) from None
    return kind
