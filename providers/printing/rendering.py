"""Drawing triangles: a small software renderer with a depth buffer, a soft shadow and ambient occlusion.

Shared by the previews and the offline pictures. Orthographic, Z up; the same triangles give the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

# Of float32 where not said otherwise.
Array = NDArray[Any]

MAX_FRAGMENTS = 2_000_000
NOTHING = np.int64(2**63 - 1)
AMBIENT = 0.42
LIGHT_AZIMUTH, LIGHT_ELEVATION = -38.0, 60.0
"""From the viewer."""
FILL = 0.72
"""How much of the picture its longer side takes."""
SHADOW_TAPS = 20
OCCLUSION_TAPS = 20


@dataclass(frozen=True, slots=True)
class View:
    """Where one looks from: angles in degrees, azimuth anticlockwise from the front. The light goes with it."""

    azimuth: float
    elevation: float

    @property
    def axes(self) -> Array:
        return _axes(self.azimuth, self.elevation)

    @property
    def light_axes(self) -> Array:
        return _axes(self.azimuth + LIGHT_AZIMUTH, LIGHT_ELEVATION)


def _axes(azimuth: float, elevation: float) -> Array:
    """Rows: right, up, and towards the viewer."""
    turn, rise = np.radians([azimuth, elevation])
    towards = [np.sin(turn) * np.cos(rise), -np.cos(turn) * np.cos(rise), np.sin(rise)]
    right = [np.cos(turn), np.sin(turn), 0.0]
    return np.array([right, np.cross(towards, right), towards], np.float32)


@dataclass(frozen=True, slots=True)
class Surface:
    """What is drawn: corners (m, 3, 3); normals, one a corner (m, 3, 3) or a face (m, 3); colours (m, 3), linear.

    Of a `closed` surface only the side that faces the viewer is drawn, in half the time.
    """

    triangles: Array
    normals: Array
    colours: Array
    closed: bool = False


def render(surface: Surface, view: View, ground: tuple[float, float, float], pixels: int) -> Image.Image:
    """Draw the surface standing on a plain ground at its lowest point, `pixels` square. Colours in linear light."""
    size = pixels * 5 // 4
    triangles = surface.triangles
    flat = triangles.reshape(-1, 3)
    screen = flat @ view.axes.T
    low, high = screen.min(0), screen.max(0)
    extent = float((high - low)[:2].max())
    zoom = np.float32(FILL * size / max(extent, 1e-9))
    centre = (low + high) / 2
    screen = ((screen - centre) * zoom).reshape(-1, 3, 3)
    screen[..., 0] += size / 2
    screen[..., 1] = size / 2 - screen[..., 1]
    normals_given, colours_given = surface.normals, surface.colours
    if surface.closed:
        front = _facing(screen)
        screen, normals_given, colours_given = screen[front], normals_given[front], colours_given[front]
    hit, depth = rasterise(screen, size)
    covered = hit >= 0

    grid = np.stack(
        np.meshgrid(np.arange(size, dtype=np.float32) + 0.5, np.arange(size, dtype=np.float32) + 0.5), axis=-1
    )
    across = np.stack([grid[..., 0] - size / 2, size / 2 - grid[..., 1]], axis=-1) / zoom + centre[:2]
    floor = float(flat[:, 2].min())
    # Where the sight line meets the ground, in the axes of the view.
    up = view.axes[:, 2]
    floor_depth = (floor - across @ up[:2]) / up[2]
    away = np.where(covered, depth / zoom + centre[2], floor_depth).astype(np.float32)
    points = np.concatenate([across, away[..., None]], axis=-1).astype(np.float32) @ view.axes

    normals = np.empty((size, size, 3), np.float32)
    normals[:] = (0, 0, 1)
    colours = np.empty((size, size, 3), np.float32)
    colours[:] = ground
    faces = hit[covered]
    normals[covered] = _interpolated(normals_given, screen, faces, grid[covered])
    colours[covered] = colours_given[faces]

    light = view.light_axes[2]
    lit = _shadow(surface, points, normals, view.light_axes)
    # A light that wraps a little around the form shows the side in shade as form too.
    wrapped = np.clip((normals @ light + 0.25) / 1.25, 0, 1)
    fill_light = np.clip(normals @ (view.axes[2] * 0.8 - view.axes[0] * 0.6), 0, 1)
    sky = 0.5 + 0.5 * normals[..., 2]
    open_sky = _openness(points, normals, extent, zoom)
    shade = AMBIENT * open_sky * (0.55 + 0.45 * sky) + 0.66 * wrapped * lit + 0.10 * fill_light * open_sky
    halfway = light + view.axes[2]
    gloss = np.clip(normals @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 28 * lit * covered * 0.10
    # The ground is only as light as it is open: plain up to the shadow.
    plain = AMBIENT + 0.66 * np.clip((light[2] + 0.25) / 1.25, 0, 1) + 0.10 * max(0.0, float(view.axes[2][2] * 0.8))
    ground_shade = 1 - 0.62 * (1 - shade / plain)
    picture = colours * np.where(covered, shade, np.clip(ground_shade, 0, 1))[..., None] + gloss[..., None]
    encoded = (np.clip(picture, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(encoded).resize((pixels, pixels), Image.Resampling.LANCZOS)


def _facing(screen: Array) -> Array:
    """Which triangles run anticlockwise as seen; with y down, that is a negative area."""
    (ax, ay), (bx, by) = (screen[:, 1, :2] - screen[:, 0, :2]).T, (screen[:, 2, :2] - screen[:, 0, :2]).T
    return np.asarray(ax * by - ay * bx < 0)


def rasterise(screen: Array, size: int) -> tuple[NDArray[np.int32], Array]:
    """The face nearest to the viewer at each pixel, -1 for none, and its depth (greater is nearer).

    `screen` (m, 3, 3): x and y in pixels, y down, and depth.
    """
    low = np.ceil(screen[..., :2].min(1) - 0.5).astype(np.int32)
    high = np.floor(screen[..., :2].max(1) - 0.5).astype(np.int32)
    np.clip(low, 0, size, out=low)
    np.clip(high, -1, size - 1, out=high)
    sides = high - low + 1
    seen = np.flatnonzero((sides > 0).all(1))
    buffer = np.full(size * size, NOTHING)
    near, far = float(screen[..., 2].max(initial=1)), float(screen[..., 2].min(initial=0))
    steps = (2**30) / max(near - far, 1e-9)
    # Faces whose boxes are of about one size are done together, each with as many pixels as the largest.
    powers = np.ceil(np.log2(np.maximum(sides[seen], 1))).astype(np.int64)
    classes = powers[:, 0] * 32 + powers[:, 1]
    order = np.argsort(classes, kind="stable")
    seen, classes = seen[order], classes[order]
    for one in np.unique(classes):
        members = seen[np.searchsorted(classes, one) : np.searchsorted(classes, one, side="right")]
        width, height = 2 ** (one // 32), 2 ** (one % 32)
        chunk = max(1, MAX_FRAGMENTS // int(width * height))
        for start in range(0, len(members), chunk):
            _fragments(
                buffer,
                screen,
                low,
                members[start : start + chunk],
                box=(int(width), int(height)),
                size=size,
                near=near,
                steps=steps,
            )
    hit: NDArray[np.int32] = np.where(buffer == NOTHING, -1, buffer & 0xFFFFFFFF).astype(np.int32).reshape(size, size)
    depth = (near - (buffer >> 32) / steps).astype(np.float32).reshape(size, size)
    return hit, depth


def _fragments(
    buffer: NDArray[np.int64],
    screen: Array,
    low: NDArray[np.int32],
    members: NDArray[np.int64],
    *,
    box: tuple[int, int],
    size: int,
    near: float,
    steps: float,
) -> None:
    width, height = box
    corners = screen[members]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    sound = area != 0
    members, a, b, c, area = members[sound], a[sound], b[sound], c[sound], area[sound]
    x = low[members, 0, None] + np.arange(width, dtype=np.int32)
    y = low[members, 1, None] + np.arange(height, dtype=np.int32)
    px = (x + np.float32(0.5))[:, None, :]
    py = (y + np.float32(0.5))[:, :, None]

    def weight(p: Array, q: Array) -> Array:
        dx, dy = ((q - p)[:, :2] / area[:, None]).T
        return np.asarray(
            dx[:, None, None] * (py - p[:, 1, None, None]) - dy[:, None, None] * (px - p[:, 0, None, None])
        )

    wa, wb = weight(b, c), weight(c, a)
    wc = 1 - wa - wb
    inside = (wa >= 0) & (wb >= 0) & (wc >= 0) & (x < size)[:, None, :] & (y < size)[:, :, None]
    depth = wa * a[:, 2, None, None] + wb * b[:, 2, None, None] + wc * c[:, 2, None, None]
    face, row, column = np.nonzero(inside)
    if not len(face):
        return
    ranks = ((near - depth[face, row, column].astype(np.float64)) * steps).astype(np.int64) << 32 | members[face]
    pixels = y[face, row].astype(np.intp) * size + x[face, column].astype(np.intp)
    np.minimum.at(buffer, pixels, ranks)


def _interpolated(normals: Array, screen: Array, faces: NDArray[np.int32], at: Array) -> Array:
    if normals.ndim == 2:
        return normals[faces]
    a, b, c = np.moveaxis(screen[faces][..., :2], 1, 0)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    wa = ((c[:, 0] - b[:, 0]) * (at[:, 1] - b[:, 1]) - (c[:, 1] - b[:, 1]) * (at[:, 0] - b[:, 0])) / area
    wb = ((a[:, 0] - c[:, 0]) * (at[:, 1] - c[:, 1]) - (a[:, 1] - c[:, 1]) * (at[:, 0] - c[:, 0])) / area
    weights = np.clip(np.stack([wa, wb, 1 - wa - wb], axis=1), 0, 1)
    mixed = np.einsum("ij,ijk->ik", weights, normals[faces])
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.asarray(mixed / np.maximum(lengths, 1e-9))


def _shadow(surface: Surface, points: Array, normals: Array, axes: Array) -> Array:
    """How much of the light reaches each point, 0 to 1, with an edge that is softer the further it falls."""
    size = 640
    seen = surface.triangles @ axes.T
    low, high = seen.reshape(-1, 3).min(0), seen.reshape(-1, 3).max(0)
    zoom = np.float32((size - 8) / max(float((high - low)[:2].max()), 1e-9))
    screen = (seen - low) * zoom + np.float32(4)
    if surface.closed:
        # y is up here.
        screen = screen[~_facing(screen)]
    hit, depth = rasterise(screen, size)
    depth = np.where(hit >= 0, depth, -np.inf).astype(np.float32)
    half = points[::3, ::3]
    at = (half + normals[::3, ::3] * (2.5 / zoom) - low @ axes) @ axes.T * zoom + np.float32(4)
    lit = np.zeros(half.shape[:2], np.float32)
    for turn, radius in _taps(SHADOW_TAPS):
        x = np.clip(at[..., 0] + np.float32(11 * radius * np.cos(turn)), 0, size - 1).astype(np.int32)
        y = np.clip(at[..., 1] + np.float32(11 * radius * np.sin(turn)), 0, size - 1).astype(np.int32)
        lit += depth[y, x] <= at[..., 2] + np.float32(2 + 13 * radius)
    return _enlarged(ndimage.gaussian_filter(lit / SHADOW_TAPS, 1.2), points.shape[0])


def _openness(points: Array, normals: Array, extent: float, zoom: np.float32) -> Array:
    """How much of the sky each point sees, by its neighbours on the screen at three distances."""
    step = 3
    coarse, facing = points[::step, ::step], normals[::step, ::step]
    size = coarse.shape[0]
    hidden = np.zeros((size, size), np.float32)
    reach = 0.16 * extent
    for turn, radius in _taps(OCCLUSION_TAPS):
        dx = round(radius * reach * zoom / step * np.cos(turn))
        dy = round(radius * reach * zoom / step * np.sin(turn))
        rows = np.clip(np.arange(size) + dy, 0, size - 1)
        columns = np.clip(np.arange(size) + dx, 0, size - 1)
        towards = coarse[rows[:, None], columns] - coarse
        length = np.sqrt(np.einsum("ijk,ijk->ij", towards, towards)) + np.float32(1e-6 * extent)
        rise = np.einsum("ijk,ijk->ij", towards, facing) / length
        hidden += np.clip(rise - 0.06, 0, 1) * np.clip(1 - length / (1.8 * reach), 0, 1)
    openness = np.clip(1 - 2.2 * hidden / OCCLUSION_TAPS, 0, 1)
    return _enlarged(ndimage.gaussian_filter(openness, 1.0), points.shape[0])


def _taps(count: int) -> list[tuple[float, float]]:
    """Angles and radii, 0 to 1, spread evenly over a disc by the golden angle."""
    return [(2.399963 * one, float(np.sqrt((one + 0.5) / count))) for one in range(count)]


def _enlarged(values: Array, size: int) -> Array:
    image = Image.fromarray(values.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)
