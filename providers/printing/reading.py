"""Reading what a provider delivered: one mesh out of a GLB, OBJ, STL, PLY or 3MF file, or a ZIP that holds one."""

from __future__ import annotations

import errno
import re
import zipfile
from collections.abc import Hashable
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import trimesh
from trimesh.resolvers import ZipResolver
from trimesh.scene.transforms import SceneGraph

from providers.printing import glb, threemf
from providers.printing.mesh import Floats, Mesh, MeshError, joined, transformed

MAX_MEMBERS = 1000
MAX_UNPACKED_BYTES = 1 << 30
HEAD_BYTES = 1 << 16
PREFERRED = ("glb", "obj", "stl", "ply", "3mf")
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NAMES = {"zip": "ZIP", "glb": "GLB", "obj": "OBJ", "stl": "STL", "stl_ascii": "STL", "ply": "PLY", "3mf": "3MF"}
OBJ_VERTEX = re.compile(rb"^[ \t]*v[ \t]+[-+.\d]", re.MULTILINE)
# Nothing beside the one file is read, whatever it refers to. Without a resolver, trimesh takes the folder of the file.
NO_OTHER_FILES = ZipResolver({})
Y_UP_TO_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)


def read(source: Path, scratch: Path) -> Mesh:
    """Read a file into one mesh with Z up, its scene flattened; raises `MeshError`.

    The kind is told by content, never by name. GLB and OBJ have Y up by convention and are turned. `scratch` is a
    folder for what a ZIP holds.
    """
    kind = _kind(source)
    try:
        if kind == "zip":
            source, kind = _unpack(source, scratch)
        mesh = threemf.read(source) if kind == "3mf" else _load(source, kind)
    except (MeshError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        # What the library says may quote the file, at any length: it is kept for the log.
        raise MeshError(f"The file begins like {NAMES[kind]}, and cannot be read: it is damaged.") from error
    _check(mesh)
    return Mesh(mesh.vertices @ Y_UP_TO_Z_UP.T, mesh.faces) if kind in {"glb", "obj"} else mesh


def _kind(path: Path) -> str:
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return "3mf" if threemf.is_package(archive) else "zip"
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise MeshError("The file is a damaged ZIP.") from error
    with path.open("rb") as file:
        return _kind_of_bytes(file.read(HEAD_BYTES), path.stat().st_size)


def _kind_of_bytes(head: bytes, size: int) -> str:
    if head.startswith(b"glTF"):
        return "glb"
    if head.startswith((b"ply\n", b"ply\r")):
        return "ply"
    if len(head) >= 84 and size == 84 + 50 * int.from_bytes(head[80:84], "little"):
        return "stl"
    if head.lstrip().startswith(b"solid") and b"facet" in head:
        return "stl_ascii"
    if OBJ_VERTEX.search(head):
        return "obj"
    raise MeshError("The file is no GLB, OBJ, STL, PLY or 3MF, nor a ZIP that holds one.")


def _unpack(source: Path, scratch: Path) -> tuple[Path, str]:
    """Copy the best mesh of a ZIP to `scratch`, under a name of our own, and tell its kind."""
    with zipfile.ZipFile(source) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_MEMBERS:
            raise MeshError(f"The ZIP holds more than {MAX_MEMBERS} files.")
        found = [(kind, member) for member in members if (kind := _member_kind(archive, member))]
        if not found:
            raise MeshError("The ZIP holds no GLB, OBJ, STL, PLY or 3MF.")
        kind, member = min(found, key=lambda one: (PREFERRED.index(one[0].partition("_")[0]), -one[1].file_size))
        target = scratch / "member"
        with archive.open(member) as packed, target.open("wb") as file:
            _copy_bounded(packed, file)
        return target, kind


def _member_kind(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    if Path(member.filename).suffix.lower()[1:] not in PREFERRED or "__MACOSX" in member.filename:
        return None
    try:
        with archive.open(member) as file:
            head = file.read(HEAD_BYTES)
        return "3mf" if head.startswith(b"PK\x03\x04") else _kind_of_bytes(head, member.file_size)
    except (MeshError, RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError):
        return None


def _copy_bounded(packed: IO[bytes], file: IO[bytes]) -> None:
    # The size that a ZIP states may be a lie: what comes out is counted.
    left = MAX_UNPACKED_BYTES
    while chunk := packed.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise MeshError(f"The ZIP unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB.")
        file.write(chunk)


def _load(source: Path, kind: str) -> Mesh:
    if kind == "glb":
        glb.check(source)
    # What is not finite is found, and told, by `_check`.
    with source.open("rb") as file, np.errstate(invalid="ignore", over="ignore"):
        scene = trimesh.load_scene(file, file_type=kind, resolver=NO_OTHER_FILES, process=False, skip_materials=True)
        matrices = _matrices(scene.graph)
    parts = []
    for node, matrix in matrices.items():
        part = scene.geometry[scene.graph.transforms.node_data[node]["geometry"]]
        if isinstance(part, trimesh.Trimesh) and len(part.faces):
            parts.append(_placed(part, matrix))
    return joined(parts)


def _matrices(graph: SceneGraph) -> dict[Hashable, Floats]:
    """The place in the world of each node that has a mesh.

    Each node is placed by its parent's place: `graph[node]` walks all the way up anew, which a deep chain makes slow.
    """
    parents, edges = graph.transforms.parents, graph.transforms.edge_data
    places: dict[Hashable, Floats] = {graph.base_frame: np.eye(4)}
    for node in graph.nodes_geometry:
        path = [node]
        while path[-1] not in places:
            path.append(parents[path[-1]])
            if len(path) > len(parents) + 1:
                raise MeshError("The nodes of the file form a circle.")
        for parent, child in pairwise(reversed(path)):
            places[child] = places[parent] @ edges[parent, child].get("matrix", np.eye(4))
    return {node: places[node] for node in graph.nodes_geometry}


def _placed(part: trimesh.Trimesh, matrix: Floats) -> Mesh:
    vertices = np.asarray(part.vertices, np.float64)
    faces = np.asarray(part.faces)
    _check(Mesh(vertices, faces))
    return transformed(Mesh(vertices, faces.astype(np.int32)), np.asarray(matrix, np.float64))


def _check(mesh: Mesh) -> None:
    if not len(mesh.faces):
        raise MeshError("The file holds no triangles.")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise MeshError("A triangle of the mesh has a corner that does not exist.")
    if not np.isfinite(mesh.vertices).all():
        raise MeshError("A vertex of the mesh is not a finite number.")
