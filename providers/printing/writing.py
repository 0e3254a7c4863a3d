"""Writing a settled mesh in each format. The same mesh gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from events.outcome import ModelFormat
from providers.printing import threemf
from providers.printing.mesh import Mesh, normals
from providers.printing.preparing import FILE_NAMES

STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
STL_HEADER = b"Units: millimetres. Z up."
CHUNK = 50_000


def write(mesh: Mesh, folder: Path) -> None:
    """Write all four files: GLB in metres with Y up, as its standard says; the others in millimetres with Z up."""
    _write_stl(mesh, folder / FILE_NAMES[ModelFormat.STL])
    threemf.write(mesh, folder / FILE_NAMES[ModelFormat.THREE_MF])
    _write_obj(mesh, folder / FILE_NAMES[ModelFormat.OBJ])
    write_glb(mesh, folder / FILE_NAMES[ModelFormat.GLB])


def _write_stl(mesh: Mesh, path: Path) -> None:
    with path.open("wb") as file:
        file.write(STL_HEADER.ljust(80) + len(mesh.faces).to_bytes(4, "little"))
        for start in range(0, len(mesh.faces), CHUNK):
            part = Mesh(mesh.vertices, mesh.faces[start : start + CHUNK])
            facets = np.zeros(len(part.faces), STL_FACET)
            directions = normals(part)
            lengths = np.linalg.norm(directions, axis=1, keepdims=True)
            facets["normal"] = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0)
            facets["corners"] = part.vertices[part.faces]
            facets.tofile(file)


def _write_obj(mesh: Mesh, path: Path) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("# Units: millimetres. Z up.\no model\n")
        for rows, template in ((mesh.vertices, "v {!s} {!s} {!s}\n"), (mesh.faces + 1, "f {} {} {}\n")):
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                file.write((template * len(chunk)).format(*chunk.ravel()))


def write_glb(mesh: Mesh, path: Path) -> None:
    """Write a mesh in millimetres with Z up as a GLB, in metres with Y up."""
    x, y, z = mesh.vertices.T.astype(np.float64) / 1000
    # glTF's own default material is a mirror; this one is matt plastic.
    plastic = {"baseColorFactor": [184, 184, 190, 255], "metallicFactor": 0.0, "roughnessFactor": 0.7}
    material = PBRMaterial(**plastic)  # type: ignore[no-untyped-call]  # trimesh: no types
    visual = TextureVisuals(material=material)  # type: ignore[no-untyped-call]  # trimesh: no types
    turned = trimesh.Trimesh(np.stack([x, z, -y], axis=1), mesh.faces, process=False, visual=visual)
    path.write_bytes(export_glb(turned.scene(), include_normals=False))  # type: ignore[no-untyped-call]  # trimesh: no types
