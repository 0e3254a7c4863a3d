"""The offline pictures: the same each time, four that differ, one solid on a plain ground."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from providers.images import creatures, things
from providers.images.drawing import draw
from providers.images.local import LocalImages
from providers.images.vocabulary import FIGURES, WORDS, understand
from settings import Settings


def pixels(content: bytes, side: int = 64) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((side, side)), np.float64)


async def test_a_picture_is_a_png_of_1024_and_the_same_each_time() -> None:
    images = LocalImages(Settings())

    first = await images.generate("a small owl with big eyes, standing on a book", 2)
    second = await images.generate("a small owl  with big eyes, standing on a BOOK", 2)

    picture = Image.open(io.BytesIO(first.content or b""))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (1024, 1024), "RGB")
    assert first.content == second.content
    await images.aclose()


@pytest.mark.parametrize("prompt", ["a cat", "hope"])
def test_the_four_pictures_of_a_prompt_differ_at_a_glance(prompt: str) -> None:
    drawn = [pixels(draw(prompt, index)) for index in range(4)]

    for one in range(4):
        for other in range(one):
            assert np.mean(np.abs(drawn[one] - drawn[other]).max(2) > 24) > 0.1


def test_other_words_give_other_pictures() -> None:
    drawn = [pixels(draw(prompt, 0)) for prompt in ("a cat", "a castle", "hope", "despair", "a cat in a hurry")]

    for one in range(5):
        for other in range(one):
            assert np.mean(np.abs(drawn[one] - drawn[other]).max(2) > 24) > 0.03


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.__name__)
def test_every_figure_is_one_solid_on_a_plain_ground(figure: object) -> None:
    word = next(word for word, one in WORDS.items() if one is figure)
    picture = pixels(draw(word, 3), 256)

    top = picture[:8].reshape(-1, 3)
    assert np.ptp(top, axis=0).max() < 8
    ground = np.median(top, axis=0)
    differs = np.abs(picture - ground).max(2) > 40
    assert 0.04 < differs.mean() < 0.6
    # The whole of it is in view.
    assert not differs[:4].any()
    assert not differs[:, :4].any()


@pytest.mark.parametrize(
    ("prompt", "figure", "support"),
    [
        ("a small owl with big eyes, standing on a book", creatures.owl, things.book),
        ("A CASTLE for a cat", things.castle, None),
        ("on a book", things.book, None),
        ("a cat on a cat", creatures.cat, None),
        ("一只站在书上的猫头鹰", creatures.owl, things.book),
        ("catalogue of carpets", things.monument, None),
        ("", things.monument, None),
    ],
)
def test_words_are_understood(prompt: str, figure: object, support: object) -> None:
    scene = understand(prompt)

    assert (scene.figure, scene.support) == (figure, support)


def test_adjectives_are_understood() -> None:
    assert understand("an owl with big round eyes").eyes > 1
    assert understand("a fat cat").width > 1 > understand("a slim cat").width
    assert understand("a red dragon").colour is not None
    assert understand("a tired dragon").colour is None
