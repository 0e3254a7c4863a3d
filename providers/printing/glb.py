"""What a GLB file says of itself, checked before it is loaded.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from providers.printing.mesh import MeshError

MAX_PARTS = 10_000
UNREADABLE_EXTENSIONS = {"KHR_draco_mesh_compression", "EXT_meshopt_compression"}


def check(source: Path) -> None:
    """Refuse a GLB that is compressed, refers to other files, or takes too long to load for its size, by `MeshError`.

    What the file says may be of any type: other errors mean that it is damaged.
    """
    with source.open("rb") as file:
        header = file.read(20)
        tree = json.loads(file.read(int.from_bytes(header[12:16], "little")))
    for name in UNREADABLE_EXTENSIONS.intersection(tree.get("extensionsRequired", ())):
        raise MeshError(f"The GLB is compressed with {name}, which is not supported.")
    if not all(buffer.get("uri", "data:").startswith("data:") for buffer in tree.get("buffers", [])):
        raise MeshError("The GLB refers to another file, and only what is in the GLB itself is read.")
    if _parts(tree) > MAX_PARTS:
        raise MeshError(f"The GLB has more than {MAX_PARTS} nodes, buffers or parts.")


def _parts(tree: dict[str, Any]) -> int:
    """The largest of what loading takes a step for: a mesh counts anew wherever it is placed."""
    nodes = tree.get("nodes", [])
    primitives = [len(mesh["primitives"]) for mesh in tree.get("meshes", [])]
    references = [child for parent in (*tree.get("scenes", []), *nodes) for child in _children(parent)]
    placed: int = sum(primitives[nodes[child]["mesh"]] for child in references if "mesh" in nodes[child])
    return max(len(nodes), len(references), sum(primitives), placed, len(tree.get("buffers", [])))


def _children(parent: dict[str, Any]) -> list[int]:
    return [*parent.get("nodes", ()), *parent.get("children", ())]
