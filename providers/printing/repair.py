"""Placing a mesh on the bed, and the repairs that change nothing a viewer could see."""

from __future__ import annotations

from dataclasses import dataclass

import mapbox_earcut
import numpy as np
from scipy.spatial import cKDTree

from providers.printing.mesh import (
    Edges,
    Floats,
    Ints,
    Mask,
    Mesh,
    MeshError,
    compact,
    components,
    edges,
    normals,
    pieces,
    signed_volumes,
)

# A hole is small where the way around it is at most this part of the diagonal of its piece.
SMALL_HOLE = 0.2
# Two open vertices nearer than this part of the longest side were meant to be one.
WELD_TOLERANCE = 1e-5
# A hole in the underside is flat where it rises by at most this part of the longest side.
FLAT = 0.01
MAX_HOLE_EDGES = 200_000
MAX_CLOSED_PIECES = 2000
MAX_CONTAINMENT_FACES = 200_000_000


@dataclass(frozen=True, slots=True)
class Repairs:
    """How much of each repair was done, counted in what its name says."""

    degenerate_faces: int = 0
    duplicate_faces: int = 0
    welded_vertices: int = 0
    filled_holes: int = 0
    turned_faces: int = 0
    inverted_bodies: int = 0

    def __str__(self) -> str:
        parts = {
            "degenerate faces dropped": self.degenerate_faces,
            "duplicate faces dropped": self.duplicate_faces,
            "open vertices welded": self.welded_vertices,
            "holes filled": self.filled_holes,
            "faces turned": self.turned_faces,
            "bodies turned outside out": self.inverted_bodies,
        }
        return ", ".join(f"{what}: {count}" for what, count in parts.items() if count)


def settle(mesh: Mesh, size_mm: float) -> tuple[Mesh, Repairs]:
    """Scale to `size_mm`, set on the bed, repair, and say what was repaired; raises `MeshError` if nothing is left.

    Vertices come out as float32, each position once, so that a file in float32 has the very same edges.
    """
    mesh, dropped = _clean(_rounded(place(mesh, size_mm)))
    mesh, doubled = _without_duplicates(mesh)
    mesh, welded = _weld_open(mesh)
    mesh, turned = _agree(mesh)
    mesh, filled = _fill_holes(mesh)
    mesh, inverted = _face_outwards(mesh)
    # What was dropped may have been the outermost; then the size is set once more, and rounding may join vertices.
    mesh, again = _clean(_rounded(place(mesh, size_mm)))
    mesh, doubled_again = _without_duplicates(mesh)
    if not len(mesh.faces):
        raise MeshError("The mesh has no extent: all its triangles are degenerate.")
    return mesh, Repairs(
        degenerate_faces=dropped + again,
        duplicate_faces=doubled + doubled_again,
        welded_vertices=welded,
        filled_holes=filled,
        turned_faces=turned,
        inverted_bodies=inverted,
    )


def place(mesh: Mesh, size_mm: float) -> Mesh:
    """Scale so that the longest side is `size_mm`, centre on x and y, and rest on z = 0."""
    mesh = compact(mesh)
    if not len(mesh.faces):
        raise MeshError("The mesh has no extent: all its triangles are degenerate.")
    vertices = mesh.vertices.astype(np.float64)
    # Halving first keeps the difference of two huge numbers finite.
    low, high = vertices.min(0) / 2, vertices.max(0) / 2
    extent = float((high - low).max())
    if not extent > np.finfo(np.float64).tiny:
        raise MeshError("The mesh has no extent: all its vertices are one point.")
    vertices /= 2
    vertices -= [*(low + (high - low) / 2)[:2], low[2]]
    vertices /= extent
    vertices *= size_mm
    return Mesh(vertices, mesh.faces)


def _rounded(mesh: Mesh) -> Mesh:
    """Round to float32 and join the vertices that are then the same."""
    # Adding zero makes -0.0 and 0.0, which are different bytes, the same position.
    vertices = mesh.vertices.astype(np.float32) + np.float32(0)
    x, y, z = np.ascontiguousarray(vertices.T).view(np.uint32).astype(np.uint64)
    _, columns = np.unique((x << np.uint64(32)) | y, return_inverse=True)
    _, first, places = np.unique(
        (columns.astype(np.uint64) << np.uint64(32)) | z, return_index=True, return_inverse=True
    )
    # In the order of their first use, so that the files keep the provider's order.
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return Mesh(vertices[first[order]], rank[places][mesh.faces])


def _clean(mesh: Mesh) -> tuple[Mesh, int]:
    """Drop the faces that have a corner twice."""
    a, b, c = mesh.faces.T
    keep = (a != b) & (b != c) & (c != a)
    return compact(Mesh(mesh.vertices, mesh.faces[keep])), int(np.count_nonzero(~keep))


def _without_duplicates(mesh: Mesh) -> tuple[Mesh, int]:
    """Drop faces that lie on another with the same corners.

    Two that look in opposite directions are an inner wall, and both go, where that leaves the mesh closed.
    """
    corners = np.sort(mesh.faces, axis=1).astype(np.int64)
    _, columns = np.unique((corners[:, 0] << 32) | corners[:, 1], return_inverse=True)
    _, first, group = np.unique(
        (columns.astype(np.int64) << 32) | corners[:, 2], return_index=True, return_inverse=True
    )
    if len(first) == len(mesh.faces):
        return mesh, 0
    a, b, c = mesh.faces.T
    even = (a < b) ^ (b < c) ^ (c < a)
    balance = np.bincount(group, np.where(even, 1, -1))
    one_each = np.zeros(len(mesh.faces), bool)
    one_each[first] = True
    no_walls = one_each & (balance != 0)[group]
    keep = no_walls if no_walls.any() and edges(mesh.faces[no_walls]).closed else one_each
    return compact(Mesh(mesh.vertices, mesh.faces[keep])), int(np.count_nonzero(~keep))


def _weld_open(mesh: Mesh) -> tuple[Mesh, int]:
    """Join open vertices that all but touch, where that closes edges and breaks none."""
    found = edges(mesh.faces)
    if not found.open_count:
        return mesh, 0
    tails, heads = _ends(mesh.faces, found.halves[found.starts[found.counts == 1]])
    rim = np.unique(np.r_[tails, heads])
    positions = mesh.vertices[rim].astype(np.float64)
    near = cKDTree(positions).query_pairs(
        WELD_TOLERANCE * float(np.ptp(mesh.vertices, axis=0).max()), output_type="ndarray"
    )
    if not len(near):
        return mesh, 0
    _, labels = components(near[:, 0], near[:, 1], len(rim))
    _, first = np.unique(labels, return_index=True)
    places = np.arange(len(mesh.vertices), dtype=np.int32)
    places[rim] = rim[first[labels]]
    welded, _ = _clean(Mesh(mesh.vertices, places[mesh.faces]))
    after = edges(welded.faces)
    better = len(welded.faces) and after.open_count < found.open_count
    if not better or np.count_nonzero(after.counts > 2) > np.count_nonzero(found.counts > 2):
        return mesh, 0
    return welded, len(rim) - len(first)


def _ends(faces: Ints, halves: Ints) -> tuple[Ints, Ints]:
    return faces[halves // 3, halves % 3], faces[halves // 3, (halves + 1) % 3]


def _fill_holes(mesh: Mesh) -> tuple[Mesh, int]:
    """Close holes that are small, and a flat one on the underside, as of a figure cut off at its feet."""
    found = edges(mesh.faces)
    if not 0 < found.open_count <= MAX_HOLE_EDGES:
        return mesh, 0
    rims = _loops(*_ends(mesh.faces, found.halves[found.starts[found.counts == 1]]))
    spans = _spans(mesh)
    filled = 0
    for rim in rims:
        cap = _cap(mesh, rim, spans[rim[0]])
        if cap is not None:
            vertices, faces = cap
            mesh = Mesh(np.concatenate([mesh.vertices, vertices]), np.concatenate([mesh.faces, faces.astype(np.int32)]))
            filled += 1
    return mesh, filled


def _loops(tails: Ints, heads: Ints) -> list[Ints]:
    """The closed walks along open edges, each against the direction of its faces. Branching ones are left out."""
    following = dict(zip(heads.tolist(), tails.tolist(), strict=True))
    if len(following) < len(heads):
        _, counts = np.unique(heads, return_counts=True)
        branching = set(np.unique(heads)[counts > 1].tolist())
    else:
        branching = set()
    found = []
    while following:
        start, place = following.popitem()
        walk = [start]
        while place != start and place in following:
            walk.append(place)
            place = following.pop(place)
        if place == start and len(walk) >= 3 and branching.isdisjoint(walk):
            found.append(np.array(walk, np.int64))
    return found


def _spans(mesh: Mesh) -> Floats:
    """For each vertex, the diagonal of the bounding box of the piece that it belongs to."""
    a, b, c = mesh.faces.T
    count, labels = components(np.r_[a, b], np.r_[b, c], len(mesh.vertices))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(count))
    positions = mesh.vertices[order].astype(np.float64)
    extent = np.maximum.reduceat(positions, starts) - np.minimum.reduceat(positions, starts)
    return np.asarray(np.linalg.norm(extent, axis=1)[labels])


def _cap(mesh: Mesh, rim: Ints, span: float) -> tuple[Floats, Ints] | None:
    positions = mesh.vertices[rim].astype(np.float64)
    if np.linalg.norm(np.roll(positions, -1, axis=0) - positions, axis=1).sum() <= SMALL_HOLE * span:
        if len(rim) == 3:
            return np.empty((0, 3), np.float32), rim[None]
        middle = np.full(len(rim), len(mesh.vertices))
        fan = np.stack([rim, np.roll(rim, -1), middle], axis=1)
        return positions.mean(0, keepdims=True).astype(np.float32), fan
    return _underside(mesh, rim, positions)


def _underside(mesh: Mesh, rim: Ints, positions: Floats) -> tuple[Floats, Ints] | None:
    height = FLAT * float(np.ptp(mesh.vertices, axis=0).max())
    if positions[:, 2].max() > mesh.vertices[:, 2].min() + height:
        return None
    outline = np.ascontiguousarray(positions[:, :2])
    cap = rim[mapbox_earcut.triangulate_float64(outline, np.array([len(rim)], np.uint32)).reshape(-1, 3)]
    corners = mesh.vertices[cap].astype(np.float64)
    (ax, ay), (bx, by) = (corners[:, 1, :2] - corners[:, 0, :2]).T, (corners[:, 2, :2] - corners[:, 0, :2]).T
    areas = ax * by - ay * bx
    following = np.roll(outline, -1, axis=0)
    around = float(np.sum(outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]))
    # An outline that crosses itself has no plain inside.
    if len(cap) != len(rim) - 2 or abs(np.abs(areas).sum() - abs(around)) > 1e-6 * abs(around):
        return None
    if np.sign(areas.sum()) != np.sign(around):
        cap = cap[:, ::-1]
    whole = edges(np.concatenate([mesh.faces, cap]))
    return None if np.count_nonzero(whole.counts > 2) else (np.empty((0, 3), np.float32), cap)


def _agree(mesh: Mesh) -> tuple[Mesh, int]:
    """Turn faces until neighbours agree which side is out, going with the majority of each piece."""
    found = edges(mesh.faces)
    shared = found.counts == 2
    if not np.any(found.balance[shared]):
        return mesh, 0
    starts = found.starts[shared]
    left, right = found.halves[starts] // 3, found.halves[starts + 1] // 3
    differ = found.balance[shared] != 0
    # Each face stands for two nodes, as it is and turned. An edge joins those that agree: a piece with two sides
    # falls into two halves, one the other turned, and any with a single side, as a Möbius strip, is left alone.
    size = len(mesh.faces)
    count, labels = components(
        np.r_[left, left + size],
        np.r_[np.where(differ, right + size, right), np.where(differ, right, right + size)],
        2 * size,
    )
    as_is, turned = labels[:size], labels[size:]
    votes = np.bincount(as_is, minlength=count)
    chosen = np.where(votes[as_is] == votes[turned], as_is < turned, votes[as_is] > votes[turned])
    return _turned(mesh, ~chosen & (as_is != turned))


def _turned(mesh: Mesh, which: Mask) -> tuple[Mesh, int]:
    faces = mesh.faces.copy()
    faces[which] = faces[which][:, ::-1]
    return Mesh(mesh.vertices, faces), int(np.count_nonzero(which))


def _face_outwards(mesh: Mesh) -> tuple[Mesh, int]:
    """Turn closed pieces that are inside out, with what they hold; a hollow inside a body stays a hollow."""
    count, labels = pieces(mesh)
    volumes = signed_volumes(mesh, labels, count)
    if not np.any(volumes < 0):
        return mesh, 0
    closed = _closed_pieces(edges(mesh.faces), labels, count)
    roots = _roots(mesh, labels, volumes, closed)
    inside_out = closed[roots] & (volumes[roots] < 0)
    turned, _ = _turned(mesh, inside_out[labels])
    return turned, int(np.count_nonzero(inside_out))


def _closed_pieces(found: Edges, labels: Ints, count: int) -> Mask:
    open_edges = found.starts[found.balance != 0]
    closed = np.ones(count, bool)
    closed[labels[found.halves[open_edges] // 3]] = False
    return closed


def _roots(mesh: Mesh, labels: Ints, volumes: Floats, closed: Mask) -> Ints:
    """For each piece, the largest closed piece that it lies inside, or itself."""
    roots = np.arange(len(volumes))
    candidates = np.flatnonzero(closed)
    if len(candidates) > MAX_CLOSED_PIECES:
        return roots
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(len(volumes) + 1))
    corners = mesh.triangles
    triangles = {one: corners[order[bounds[one] : bounds[one + 1]]] for one in candidates}
    low = {one: inner.min((0, 1)) for one, inner in triangles.items()}
    high = {one: inner.max((0, 1)) for one, inner in triangles.items()}
    budget = MAX_CONTAINMENT_FACES
    larger_first = candidates[np.argsort(-np.abs(volumes[candidates]), kind="stable")]
    for one in candidates:
        for other in larger_first:
            if not (np.all(low[other] < low[one]) and np.all(high[other] > high[one])):
                continue
            budget -= len(triangles[other])
            if budget < 0:
                return roots
            if _winds_around(triangles[other], triangles[one][0].mean(0)):
                roots[one] = other
                break
    return roots


def _winds_around(triangles: Floats, point: Floats) -> bool:
    """Whether a closed surface has the point inside: the solid angle of all its faces is a full sphere, not zero."""
    a, b, c = np.moveaxis(triangles - point, 1, 0)
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    dots = [np.einsum("ij,ij->i", p, q) for p, q in ((a, b), (b, c), (c, a))]
    down = la * lb * lc + dots[0] * lc + dots[1] * la + dots[2] * lb
    angle = 2 * np.arctan2(np.einsum("ij,ij->i", a, np.cross(b, c)), down).sum()
    return bool(abs(angle) > 2 * np.pi)


def degenerate(mesh: Mesh) -> int:
    """How many faces have no area to speak of: thinner than a millionth of their longest side."""
    corners = mesh.triangles
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    return int(np.count_nonzero(np.linalg.norm(normals(mesh), axis=1) <= 1e-6 * longest**2))
