from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from events.outcome import FailureCode
from providers.models.picture import LONGEST_SIDE, SHORTEST_SIDE, fits, fitted
from providers.protocol import ProviderError
from tests.standins.things import picture

LIMIT = 4_500_000


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def opened(content):
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_fits_stays_as_it_is(kind):
    content = picture(kind=kind, width=SHORTEST_SIDE, height=1000)
    assert fits(content, LIMIT)
    assert fitted(content, LIMIT) is content


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (10, 200), (127, 500), (1, 1), (6000, 200), (5001, 5001), (20, 6000)]
)
def test_sides_are_brought_within_the_limits(width, height):
    content = picture(width=width, height=height)
    assert not fits(content, LIMIT)
    assert fits(fitted(content, LIMIT), LIMIT)


def test_the_proportions_stay():
    size = opened(fitted(picture(width=100, height=200), LIMIT)).size
    assert size == (SHORTEST_SIDE, 2 * SHORTEST_SIDE)


def test_a_picture_of_too_many_bytes_becomes_smaller():
    noise = Image.frombytes("RGB", (1500, 1500), random.Random(1).randbytes(1500 * 1500 * 3))
    content = encoded(noise)
    assert len(content) > LIMIT
    assert fits(fitted(content, LIMIT), LIMIT)
    assert fits(fitted(content, 100_000), 100_000)


def test_what_is_see_through_becomes_white():
    image = opened(fitted(encoded(Image.new("RGBA", (100, 100), (255, 0, 0, 0))), LIMIT))
    assert image.convert("RGB").getpixel((50, 50)) == (255, 255, 255)


def test_a_turned_picture_is_set_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (100, 50), "white"), "JPEG", exif=exif)
    size = opened(fitted(content, LIMIT)).size
    assert size[0] < size[1]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", encoded(Image.new("L", (200, 200)), "BMP"), encoded(Image.new("L", (200, 200)), "GIF")],
)
def test_what_is_no_picture_is_bad_output(content):
    for function in (fits, fitted):
        with pytest.raises(ProviderError) as caught:
            function(content, LIMIT)
        assert caught.value.failure.code is FailureCode.BAD_OUTPUT


def test_a_picture_that_breaks_off_is_bad_output():
    content = encoded(Image.new("RGB", (LONGEST_SIDE + 1, 300), "red"))
    with pytest.raises(ProviderError):
        fitted(content[: len(content) // 2], LIMIT)


def test_a_bomb_is_not_unpacked():
    content = encoded(Image.new("1", (11_000, 11_000)))
    with pytest.raises(ProviderError):
        fitted(content, LIMIT)
