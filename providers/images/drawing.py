"""A figure modelled and drawn from a prompt, the same each time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from providers.images.character import Character
from providers.images.clay import Clay, block, disc
from providers.images.vocabulary import Scene, understand
from providers.printing.mesh import Floats
from providers.printing.rendering import Surface, View, render

PIXELS = 1024
VOXEL = 0.024
# Baked clay, sage, slate, sand, plum, teal: linear light, all of about one brightness.
PALETTE = (
    (0.56, 0.23, 0.13),
    (0.27, 0.40, 0.22),
    (0.20, 0.31, 0.48),
    (0.66, 0.46, 0.20),
    (0.42, 0.20, 0.34),
    (0.13, 0.40, 0.40),
)
GROUND = (0.84, 0.83, 0.81)


@dataclass(frozen=True, slots=True)
class Style:
    """What tells the four pictures of a prompt apart: build, foot, facets, and where one looks from."""

    azimuth: float
    elevation: float
    width: float = 1.0
    foot: str = ""
    faceted: bool = False


STYLES = (
    Style(azimuth=-28, elevation=16),
    Style(azimuth=32, elevation=26, width=1.16, foot="round"),
    Style(azimuth=-6, elevation=9, width=0.88, foot="plinth"),
    Style(azimuth=-40, elevation=32, faceted=True),
)


def draw(prompt: str, index: int) -> bytes:
    """A PNG of 1024 by 1024 for a prompt and an index of 0 to 3."""
    style = STYLES[index % len(STYLES)]
    scene = understand(prompt)
    digest = hashlib.blake2b(" ".join(prompt.split()).casefold().encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, "little")
    surface = _surface(scene, style, np.random.default_rng([seed, index]), _colour(scene, seed, index))
    picture = render(surface, View(style.azimuth, style.elevation), GROUND, PIXELS)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=4)
    return file.getvalue()


def _colour(scene: Scene, seed: int, index: int) -> Floats:
    if scene.colour is None:
        return _vector(PALETTE[(seed + index) % len(PALETTE)])
    return np.asarray(np.clip(_vector(scene.colour) * (1, 1.25, 0.8, 1.1)[index % 4], 0, 0.9))


def _surface(scene: Scene, style: Style, random: np.random.Generator, colour: Floats) -> Surface:
    clay = Clay()
    scene.figure(clay, Character(random, scene.eyes))
    width = style.width * scene.width
    layers = _meshed(clay, style, (width, width, 1 / width))
    for below in _supports(scene, style, random, layers):
        height = max(float(triangles[..., 2].max()) for _, triangles, _ in below)
        layers = [(tint, triangles + _vector([0, 0, height - 0.02]), normals) for tint, triangles, normals in layers]
        layers += below
    tints = _tints(colour)
    triangles, normals = (np.concatenate([layer[part] for layer in layers]) for part in (1, 2))
    colours = np.concatenate([np.broadcast_to(tints[tint], (len(faces), 3)) for tint, faces, _ in layers])
    return Surface(triangles, _facet_normals(triangles) if style.faceted else normals, colours, closed=True)


def _vector(values: Sequence[float]) -> Floats:
    return np.array(values, np.float32)


def _tints(colour: Floats) -> dict[str, Floats]:
    light = 1 - (1 - colour) * np.float32(0.42)
    accent = _vector([0.72, 0.36, 0.06]) if colour[0] < 0.5 else _vector([0.12, 0.24, 0.34])
    return {
        "body": colour,
        "deep": colour * np.float32(0.55),
        "light": light,
        "dark": _vector([0.03] * 3),
        "accent": accent,
    }


Layer = tuple[str, Floats, Floats]


def _meshed(clay: Clay, style: Style, scale: tuple[float, float, float]) -> list[Layer]:
    layers = []
    for tint in clay.parts:
        # Facets large enough to be seen as such, but for the small parts.
        coarse = 3.4 if tint == "body" else 2.2
        triangles, normals = clay.mesh(tint, VOXEL * (coarse if style.faceted else 1))
        normals = normals / _vector(scale)
        normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
        layers.append((tint, triangles * _vector(scale), normals))
    return layers


def _supports(scene: Scene, style: Style, random: np.random.Generator, layers: list[Layer]) -> list[list[Layer]]:
    """What the figure stands on, from the top down."""
    found = []
    wide = max(float(abs(triangles[..., :2][triangles[..., 2] < 0.5]).max(initial=0.3)) for _, triangles, _ in layers)
    if scene.support is not None:
        clay = Clay()
        scene.support(clay, Character(random))
        found.append(_meshed(clay, style, (0.9, 0.9, 0.6)))
        wide = 0.95
    foot = Clay()
    if style.foot == "round":
        foot.add(disc(wide + 0.14, 0.16, 0.05), (0, 0, 0.08), tint="light")
        found.append(_meshed(foot, style, (1, 1, 1)))
    elif style.foot == "plinth":
        foot.add(block(2 * wide + 0.2, 2 * wide + 0.2, 0.34, 0.05), (0, 0, 0.17), tint="deep")
        foot.add(block(2 * wide + 0.02, 2 * wide + 0.02, 0.16, 0.05), (0, 0, 0.4), tint="deep", blend=0.02)
        found.append(_meshed(foot, style, (1, 1, 1)))
    return found


def _facet_normals(triangles: Floats) -> Floats:
    a, b, c = np.moveaxis(triangles, 1, 0)
    across = np.cross(b - a, c - a)
    return np.asarray(across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12))
