"""How much of a mesh is thinner than a printer's wall, felt by short rays from the surface inwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from providers.printing.mesh import Floats, Ints, Mask, Mesh, normals

SAMPLES = 2000
SEED = 20_240_229
# Faces that meet at a sharp edge are near each other there without being a wall: the far side must look away.
OPPOSITE = 0.7
MAX_PAIRS_AT_ONCE = 2_000_000
MAX_PAIRS = 40_000_000


class _Rays(NamedTuple):
    """Where each starts, the unit vector it follows, and the face that it starts on."""

    origins: Floats
    directions: Floats
    faces: Ints

    def at(self, which: list[int] | slice) -> _Rays:
        return _Rays(self.origins[which], self.directions[which], self.faces[which])


class _Group(NamedTuple):
    """Faces of about one size, found by their centres within `reach` of the middle of a ray."""

    faces: Ints
    tree: cKDTree
    reach: float


def thin_share(mesh: Mesh, wall_mm: float) -> float:
    """The part of the surface, 0 to 1, behind which the far side is nearer than `wall_mm`. The same each time."""
    outwards = normals(mesh)
    areas = np.linalg.norm(outwards, axis=1)
    if not areas.sum() > 0:
        return 0.0
    outwards /= np.where(areas > 0, areas, 1)[:, None]
    corners = mesh.triangles
    rays = _rays(corners, outwards, areas)
    groups = _groups(corners, wall_mm)
    # On a model of a few millimetres a ray passes most faces: then fewer rays have to do.
    pairs = 1 + np.mean(
        [sum(map(len, _near(groups, ray, wall_mm))) for ray in (rays.at([one]) for one in range(0, SAMPLES, 100))]
    )
    rays = rays.at(slice(None, None, max(1, int(pairs * SAMPLES / MAX_PAIRS))))
    batch = max(1, int(MAX_PAIRS_AT_ONCE / pairs))
    thin = 0
    for start in range(0, len(rays.faces), batch):
        part = rays.at(slice(start, start + batch))
        thin += int(np.count_nonzero(_thin(part, groups, corners, outwards, wall_mm)))
    return thin / len(rays.faces)


def _rays(corners: Floats, outwards: Floats, areas: Floats) -> _Rays:
    random = np.random.default_rng(SEED)
    sums = np.cumsum(areas)
    faces = np.searchsorted(sums, (np.arange(SAMPLES) + random.random(SAMPLES)) / SAMPLES * sums[-1])
    faces = np.minimum(faces, int(np.flatnonzero(areas)[-1]))
    u, v = random.random((2, SAMPLES, 1))
    root = np.sqrt(u)
    a, b, c = np.moveaxis(corners[faces], 1, 0)
    return _Rays(a * (1 - root) + b * (root * (1 - v)) + c * (root * v), -outwards[faces], faces)


def _groups(corners: Floats, wall_mm: float) -> list[_Group]:
    centres = corners.mean(1)
    radii = np.linalg.norm(corners - centres[:, None], axis=2).max(1)
    sizes = np.ceil(np.log2(np.maximum(radii / wall_mm, 2.0**-6))).astype(int)
    groups = []
    for one in np.unique(sizes):
        faces = np.flatnonzero(sizes == one)
        groups.append(_Group(faces, cKDTree(centres[faces]), wall_mm / 2 + float(radii[faces].max())))
    return groups


def _near(groups: list[_Group], rays: _Rays, wall_mm: float) -> list[Ints]:
    """For each ray, group by group, the faces that it may meet within the wall."""
    middles = rays.origins + rays.directions * (wall_mm / 2)
    return [
        group.faces[np.array(found, int)]
        for group in groups
        for found in group.tree.query_ball_point(middles, group.reach, return_sorted=True)
    ]


def _thin(rays: _Rays, groups: list[_Group], corners: Floats, outwards: Floats, wall_mm: float) -> Mask:
    near = _near(groups, rays, wall_mm)
    at = np.repeat(np.tile(np.arange(len(rays.faces)), len(groups)), [len(found) for found in near])
    faces = np.concatenate(near)
    facing = (faces != rays.faces[at]) & (np.einsum("ij,ij->i", outwards[faces], rays.directions[at]) > OPPOSITE)
    at, faces = at[facing], faces[facing]
    distances = _distances(corners[faces], rays.origins[at], rays.directions[at])
    thin = np.zeros(len(rays.faces), bool)
    thin[at[(distances > 0) & (distances < wall_mm)]] = True
    return thin


def _distances(triangles: Floats, origins: Floats, directions: Floats) -> Floats:
    """Möller and Trumbore's intersection, pair by pair; -1 where the ray misses."""
    a = triangles[:, 0]
    ab, ac = triangles[:, 1] - a, triangles[:, 2] - a
    across = np.cross(directions, ac)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / np.einsum("ij,ij->i", ab, across)
        offset = origins - a
        u = scale * np.einsum("ij,ij->i", offset, across)
        around = np.cross(offset, ab)
        v = scale * np.einsum("ij,ij->i", directions, around)
        distances = scale * np.einsum("ij,ij->i", ac, around)
        hit = (u >= 0) & (v >= 0) & (u + v <= 1)
    return np.where(hit, distances, -1.0)
