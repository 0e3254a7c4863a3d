"""Making a picture fit what a service takes."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from events.outcome import FailureCode
from providers.protocol import ProviderError

FORMATS = ("JPEG", "PNG", "WEBP")
SHORTEST_SIDE, LONGEST_SIDE = 128, 5000
# What a picture that is rewritten is brought down to: more shows nothing that a model is made from.
GOOD_SIDE = 2048
MOST_PIXELS = 100_000_000
JPEG_QUALITY = 92


def fits(content: bytes, limit_bytes: int) -> bool:
    """Whether a picture can be sent as it is: JPEG, PNG or WebP with sides of SHORTEST_SIDE to LONGEST_SIDE pixels."""
    return len(content) <= limit_bytes and _sides_fit(_opened(content))


def fitted(content: bytes, limit_bytes: int) -> bytes:
    """The picture itself where it fits; else upright, on white, scaled and encoded anew so that it does.

    Raises `ProviderError`, BAD_OUTPUT, where it is no picture.
    """
    if fits(content, limit_bytes):
        return content
    image = _sized(_on_white(_loaded(content)))
    encoded = _encoded(image, "PNG")
    while len(encoded) > limit_bytes:
        encoded = _encoded(image, "JPEG")
        image = image.resize((_at_least(image.width * 3 // 4), _at_least(image.height * 3 // 4)))
    return encoded


def _opened(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Exception:  # Pillow's decoders raise whatever they come upon
        raise _bad("The picture to make a model from cannot be read.") from None
    if image.width * image.height > MOST_PIXELS:
        raise _bad("The picture to make a model from has too many pixels.")
    return image


def _loaded(content: bytes) -> Image.Image:
    image = _opened(content)
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except Exception:  # as above
        raise _bad("The picture to make a model from is broken.") from None


def _sides_fit(image: Image.Image) -> bool:
    return min(image.size) >= SHORTEST_SIDE and max(image.size) <= LONGEST_SIDE


def _on_white(image: Image.Image) -> Image.Image:
    layers = image.convert("RGBA")
    ground = Image.new("RGBA", layers.size, "white")
    return Image.alpha_composite(ground, layers).convert("RGB")


def _sized(image: Image.Image) -> Image.Image:
    image = ImageOps.contain(image, (GOOD_SIDE, GOOD_SIDE)) if max(image.size) > GOOD_SIDE else image
    growth = min(max(1, SHORTEST_SIDE / min(image.size)), GOOD_SIDE / max(image.size))
    image = image.resize((max(1, round(image.width * growth)), max(1, round(image.height * growth))))
    # Only a strip is still too narrow: it gets white margins.
    return ImageOps.pad(image, (_at_least(image.width), _at_least(image.height)), color="white")


def _at_least(side: int) -> int:
    return max(side, SHORTEST_SIDE)


def _encoded(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, quality=JPEG_QUALITY)
    return content.getvalue()


def _bad(message: str) -> ProviderError:
    return ProviderError(FailureCode.BAD_OUTPUT, message, retryable=False)
