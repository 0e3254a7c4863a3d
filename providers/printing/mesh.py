"""A triangle mesh as two arrays, and what its edges say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# What an array holds, for the reader: numpy's types do not carry a width through arithmetic.
Floats = NDArray[Any]
Ints = NDArray[Any]
Mask = NDArray[Any]


class MeshError(Exception):
    """What was delivered is no mesh that could be printed. The message is for the user."""


class Mesh(NamedTuple):
    """`vertices` (n, 3) in float, `faces` (m, 3) of indexes into them, anticlockwise seen from outside."""

    vertices: Floats
    faces: Ints

    @property
    def triangles(self) -> Floats:
        """The corners of each face, (m, 3, 3), in double precision."""
        return self.vertices.astype(np.float64, copy=False)[self.faces]


@dataclass(frozen=True, slots=True)
class Edges:
    """The distinct edges of a mesh. Half-edge `h` belongs to face `h // 3` and starts at its corner `h % 3`.

    `halves` lists the half-edges edge by edge, `starts` where each edge's begin, `counts` how many it has, and
    `balance` how many of them run up minus how many run down: 0 where the faces on both sides agree.
    """

    halves: Ints
    starts: Ints
    counts: Ints
    balance: Ints

    @property
    def closed(self) -> bool:
        return bool(np.all(self.balance == 0))

    @property
    def manifold(self) -> bool:
        return bool(np.all(self.counts <= 2))

    @property
    def open_count(self) -> int:
        return int(np.count_nonzero(self.counts == 1))


def edges(faces: Ints) -> Edges:
    tails = faces.ravel()
    heads = np.roll(faces, -1, axis=1).ravel()
    low, high = np.minimum(tails, heads).astype(np.int64), np.maximum(tails, heads)
    keys = (low << 32) | high
    halves = np.argsort(keys, kind="stable")
    keys = keys[halves]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, len(keys)])
    upward = np.where(tails < heads, 1, -1).astype(np.int32)[halves]
    balance = np.add.reduceat(upward, starts) if len(starts) else np.empty(0, np.int32)
    return Edges(halves.astype(np.int32), starts, counts, balance)


def components(first: Ints, second: Ints, size: int) -> tuple[int, Ints]:
    """How many connected pieces `size` nodes fall into, joined pairwise, and the piece of each."""
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    return int(count), labels


def pieces(mesh: Mesh) -> tuple[int, Ints]:
    """How many pieces, joined by their vertices, the faces form, and the piece of each face."""
    a, b, c = mesh.faces.T
    _, labels = components(np.r_[a, b], np.r_[b, c], len(mesh.vertices))
    used, of_face = np.unique(labels[a], return_inverse=True)
    return len(used), of_face


def signed_volumes(mesh: Mesh, labels: Ints, count: int) -> Floats:
    """The volume that each piece encloses: negative where its faces look inwards."""
    a, b, c = np.moveaxis(mesh.triangles, 1, 0)
    return np.bincount(labels, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, count)


def normals(mesh: Mesh) -> Floats:
    """The outward normal of each face, as long as twice its area."""
    a, b, c = np.moveaxis(mesh.triangles, 1, 0)
    return np.cross(b - a, c - a)


def compact(mesh: Mesh) -> Mesh:
    """The same mesh without the vertices that no face uses."""
    used = np.zeros(len(mesh.vertices), bool)
    used[mesh.faces] = True
    if used.all():
        return mesh
    places = np.cumsum(used, dtype=np.int32) - 1
    return Mesh(mesh.vertices[used], places[mesh.faces])


def transformed(mesh: Mesh, matrix: Floats) -> Mesh:
    """The mesh moved by a 4 by 4 matrix; a mirroring one keeps its faces looking outwards."""
    if np.array_equal(matrix, np.eye(4)):
        return mesh
    mirrors = np.linalg.det(matrix[:3, :3]) < 0
    return Mesh(mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3], mesh.faces[:, ::-1] if mirrors else mesh.faces)


def joined(parts: list[Mesh]) -> Mesh:
    """One mesh of several; raises `MeshError` where there is none."""
    if not parts:
        raise MeshError("The file holds no triangles.")
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = [part.faces + offset for part, offset in zip(parts, offsets, strict=True)]
    return Mesh(np.concatenate([part.vertices for part in parts]), np.concatenate(faces).astype(np.int32))
