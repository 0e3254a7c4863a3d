"""Modelling in clay: solids given by distance, blended into one another, and meshed for drawing.

Lengths are in units of which a figure is about two high; z is up, and a figure looks towards -y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from providers.printing.mesh import Floats, Ints

Vector = tuple[float, float, float]
TABLE = 192
FAR = np.float32(9)


class Shape(NamedTuple):
    """`distance` from x, y and z to the surface, negative inside; all of the shape is within `reach` of its middle."""

    distance: Callable[[Floats, Floats, Floats], Floats]
    reach: float


def ball(*radii: float) -> Shape:
    """A sphere of one radius, or an ellipsoid of three."""
    rx, ry, rz = radii if len(radii) == 3 else radii * 3

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        near = np.sqrt((x / rx) ** 2 + (y / ry) ** 2 + (z / rz) ** 2)
        steep = np.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + (z / rz**2) ** 2)
        return np.asarray(near * (near - 1) / np.maximum(steep, 1e-6))

    return Shape(distance, max(rx, ry, rz))


def limb(end: Vector, start_radius: float, end_radius: float) -> Shape:
    """A rod from the origin to `end`, round at both ends, going from one radius to the other."""
    length = float(np.linalg.norm(end))

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        along = np.clip((x * end[0] + y * end[1] + z * end[2]) / length**2, 0, 1)
        away = np.sqrt((x - along * end[0]) ** 2 + (y - along * end[1]) ** 2 + (z - along * end[2]) ** 2)
        return np.asarray(away - (start_radius + (end_radius - start_radius) * along))

    return Shape(distance, length + max(start_radius, end_radius))


def block(width: float, depth: float, height: float, rounding: float = 0.05) -> Shape:
    """A box about the origin, its edges rounded."""
    sides = (width / 2 - rounding, depth / 2 - rounding, height / 2 - rounding)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        dx, dy, dz = abs(x) - sides[0], abs(y) - sides[1], abs(z) - sides[2]
        outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2 + np.maximum(dz, 0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(np.maximum(dx, dy), dz), 0) - rounding)

    return Shape(distance, float(np.hypot(np.hypot(width, depth), height)) / 2)


def disc(radius: float, height: float, rounding: float = 0.04) -> Shape:
    """A cylinder about the z axis, its edges rounded."""
    return lathe([(0, -height / 2), (radius, -height / 2), (radius, height / 2), (0, height / 2)], rounding)


def ring(radius: float, thickness: float) -> Shape:
    """A torus about the z axis; `thickness` is the radius of its tube."""

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        return np.asarray(np.sqrt((np.sqrt(x**2 + y**2) - radius) ** 2 + z**2) - thickness)

    return Shape(distance, radius + thickness)


def lathe(profile: Sequence[tuple[float, float]], rounding: float = 0.03) -> Shape:
    """What turning a closed outline of (radius, z) about the z axis gives."""
    mirrored = [(-r, z) for r, z in reversed(profile) if r > 0]
    flat, reach = _table([*profile, *mirrored], rounding)
    return Shape(lambda x, y, z: flat(np.sqrt(x**2 + y**2), z), reach)


def plate(outline: Sequence[tuple[float, float]], thickness: float, rounding: float = 0.03) -> Shape:
    """An outline of (x, z) given a thickness along y."""
    flat, reach = _table(outline, rounding)

    def distance(x: Floats, y: Floats, z: Floats) -> Floats:
        across, through = flat(x, z) + rounding, abs(y) - thickness / 2 + rounding
        outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(through, 0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(across, through), 0) - rounding)

    return Shape(distance, float(np.hypot(reach, thickness)))


def _table(outline: Sequence[tuple[float, float]], rounding: float) -> tuple[Callable[[Floats, Floats], Floats], float]:
    """The distance to an outline, worked out once on a grid, and how far it reaches from the origin."""
    points = np.array(outline, np.float32)
    reach = float(np.linalg.norm(points, axis=1).max()) + 0.3
    axis = np.linspace(-reach, reach, TABLE, dtype=np.float32)
    x, z = axis[:, None], axis[None, :]
    nearest = np.full((TABLE, TABLE), np.inf, np.float32)
    inside = np.zeros((TABLE, TABLE), bool)
    for (ax, az), (bx, bz) in zip(points, np.roll(points, -1, axis=0), strict=True):
        dx, dz = bx - ax, bz - az
        along = np.clip(((x - ax) * dx + (z - az) * dz) / max(dx * dx + dz * dz, 1e-12), 0, 1)
        nearest = np.minimum(nearest, (x - ax - along * dx) ** 2 + (z - az - along * dz) ** 2)
        if dz:
            inside ^= ((az > z) != (bz > z)) & (x < dx * (z - az) / dz + ax)
    signed = np.where(inside, -1, 1) * np.sqrt(nearest)
    # Blurred distances have their corners rounded.
    smooth = ndimage.gaussian_filter(signed, 0.7 * rounding * (TABLE - 1) / (2 * reach))

    def flat(u: Floats, v: Floats) -> Floats:
        shape = np.broadcast_shapes(u.shape, v.shape)
        scale = (TABLE - 1) / (2 * reach)
        at = [(np.broadcast_to(one, shape) + reach) * scale for one in (u, v)]
        return np.asarray(ndimage.map_coordinates(smooth, at, order=1, mode="nearest", output=np.float32))

    return flat, reach


@dataclass(frozen=True, slots=True)
class _Part:
    shape: Shape
    at: Vector
    turn: Floats
    blend: float
    mirrored: bool
    cut: bool


@dataclass(slots=True)
class Clay:
    """Parts by tint, put together in the order given. A `cut` takes away from what its tint has so far."""

    parts: dict[str, list[_Part]] = field(default_factory=dict)

    def add(
        self,
        shape: Shape,
        at: Vector = (0, 0, 0),
        *,
        turn: Vector = (0, 0, 0),
        tint: str = "body",
        blend: float = 0.06,
        both: bool = False,
        cut: bool = False,
    ) -> None:
        """Put a shape at a place, turned by degrees about x, then y, then z; `both` adds its mirror image in x."""
        matrix = _rotation(turn)
        for mirrored in (False, True) if both else (False,):
            self.parts.setdefault(tint, []).append(_Part(shape, at, matrix, blend, mirrored, cut))

    def mesh(self, tint: str, voxel: float) -> tuple[Floats, Floats]:
        """The surface of one tint: triangles (m, 3, 3) and the outward normals at their corners."""
        return _surface(*_sampled(self.parts[tint], voxel), voxel)


def _rotation(turn: Vector) -> Floats:
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x, np.float32)


def _sampled(parts: list[_Part], voxel: float) -> tuple[Floats, Floats]:
    """The distances on a grid about the parts, and where the grid begins."""
    spheres = [
        (np.array(part.at) * ((-1, 1, 1) if part.mirrored else 1), part.shape.reach) for part in parts if not part.cut
    ]
    low = np.min([centre - reach for centre, reach in spheres], axis=0) - 3 * voxel
    high = np.max([centre + reach for centre, reach in spheres], axis=0) + 3 * voxel
    size = np.ceil((high - low) / voxel).astype(int) + 1
    values = np.full(size, FAR, np.float32)
    axes = [(low[one] + voxel * np.arange(size[one])).astype(np.float32) for one in range(3)]
    for part in parts:
        _carve(values, axes, part, voxel)
    return values, low


def _carve(values: Floats, axes: list[Floats], part: _Part, voxel: float) -> None:
    centre = np.array(part.at) * ((-1, 1, 1) if part.mirrored else 1)
    reach = part.shape.reach + 2 * part.blend + 3 * voxel
    spans = [slice(*np.searchsorted(axes[one], (centre[one] - reach, centre[one] + reach))) for one in range(3)]
    box = tuple(spans)
    x, y, z = (axes[one][spans[one]] for one in range(3))
    x, y, z = (
        x[:, None, None] * (-1 if part.mirrored else 1) - part.at[0],
        y[None, :, None] - part.at[1],
        z - part.at[2],
    )
    t = part.turn
    if not np.array_equal(t, np.eye(3)):
        x, y, z = (x * t[0, one] + y * t[1, one] + z * t[2, one] for one in range(3))
    distance = part.shape.distance(x, y, z).astype(np.float32, copy=False)
    there = values[box]
    sign = np.float32(-1 if part.cut else 1)
    # The polynomial smooth minimum; its mirror image takes away.
    mix = np.maximum(part.blend - abs(there * sign - distance), 0)
    values[box] = sign * (np.minimum(there * sign, distance) - mix * mix * np.float32(0.25 / max(part.blend, 1e-6)))


def _surface(values: Floats, low: Floats, voxel: float) -> tuple[Floats, Floats]:
    """Surface nets: a vertex in each cell that the surface crosses, a square across each edge that it crosses."""
    inside = values < 0
    sums = np.zeros([one - 1 for one in values.shape] + [3], np.float32)
    counts = np.zeros(sums.shape[:3], np.float32)
    crossings = []
    for axis in range(3):
        first, second = _pair(values, axis)
        crossed = _pair(inside, axis)[0] != _pair(inside, axis)[1]
        where = np.array(np.nonzero(crossed))
        a, b = first[crossed], second[crossed]
        at = where.T.astype(np.float32)
        at[:, axis] += a / (a - b)
        crossings.append((where, a < 0))
        others = [one for one in range(3) if one != axis]
        for da in (0, 1):
            for db in (0, 1):
                cell = where.copy()
                cell[others[0]] -= da
                cell[others[1]] -= db
                np.add.at(sums, tuple(cell), at)
                np.add.at(counts, tuple(cell), 1)
    used = counts > 0
    index = np.full(used.shape, -1, np.int64)
    index[used] = np.arange(np.count_nonzero(used))
    vertices = sums[used] / counts[used][:, None]
    corners = np.concatenate([_squares(index, where, axis, leaving) for axis, (where, leaving) in enumerate(crossings)])
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    return (vertices * voxel + low).astype(np.float32)[faces], _normals(values, vertices)[faces]


def _pair(values: Floats, axis: int) -> tuple[Floats, Floats]:
    ahead = [slice(None)] * 3
    behind = [slice(None)] * 3
    ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
    return values[tuple(behind)], values[tuple(ahead)]


def _squares(index: Ints, where: Ints, axis: int, leaving: Floats) -> Floats:
    u, v = (axis + 1) % 3, (axis + 2) % 3
    around = []
    for du, dv in ((1, 1), (0, 1), (0, 0), (1, 0)):
        cell = where.copy()
        cell[u] -= du
        cell[v] -= dv
        around.append(index[tuple(cell)])
    square = np.stack(around, axis=1)
    square[~leaving] = square[~leaving][:, ::-1]
    return square


def _normals(values: Floats, vertices: Floats) -> Floats:
    slopes = np.empty_like(vertices)
    for axis in range(3):
        step = np.zeros(3, np.float32)
        step[axis] = 0.8
        ahead, behind = (
            ndimage.map_coordinates(values, (vertices + side * step).T, order=1, mode="nearest") for side in (1, -1)
        )
        slopes[:, axis] = ahead - behind
    return np.asarray(slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-9))
