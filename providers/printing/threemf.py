"""3MF files: reading the meshes of a package as a stream, and writing one mesh, the same bytes every time.

https://github.com/3MFConsortium/spec_core
"""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.parsers import expat

import numpy as np

from providers.printing.mesh import Floats, Ints, Mesh, MeshError, joined, transformed

MODEL = "3D/3dmodel.model"
MAX_MODELS = 1000
# A mesh of five million faces; more does not fit into the memory that there is for preparing.
MAX_MODEL_BYTES = 1 << 29
PARSED_BYTES = 1 << 20
MAX_INSTANCES = 10_000
MAX_DEPTH = 32
CHUNK = 20_000
# The oldest time that a ZIP can hold: the bytes depend on the mesh alone.
EPOCH = (1980, 1, 1, 0, 0, 0)

CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">\
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>\
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>
"""
RELATIONSHIPS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">\
<Relationship Target="/{MODEL}" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>\
</Relationships>
"""
MODEL_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<model unit="millimeter" xml:lang="en-US" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">
<resources><object id="1" type="model"><mesh><vertices>
"""
MODEL_MIDDLE = "</vertices><triangles>\n"
MODEL_TAIL = """</triangles></mesh></object></resources>
<build><item objectid="1"/></build>
</model>
"""


@dataclass(slots=True)
class _Object:
    """One `<object>`: a mesh, or components that place other objects, each by (file, id)."""

    vertices: array[float] = field(default_factory=lambda: array("d"))
    triangles: array[int] = field(default_factory=lambda: array("i"))
    components: list[tuple[tuple[str, str], Floats]] = field(default_factory=list)


class _Reader:
    """The elements of one model file that say where the triangles are."""

    def __init__(self, file: str, objects: dict[tuple[str, str], _Object]) -> None:
        self.file = file
        self.objects = objects
        self.items: list[tuple[tuple[str, str], Floats]] = []
        self._current = _Object()

    def parse(self, stream: IO[bytes]) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.StartDoctypeDeclHandler = _refuse_doctype
        size = 0
        while chunk := stream.read(PARSED_BYTES):
            size += len(chunk)
            parser.Parse(chunk, False)
            # Expat before 2.6.0 begins anew with each chunk where a comment or tag has no end yet (CVE-2023-52425).
            if size - parser.CurrentByteIndex > PARSED_BYTES:
                raise MeshError(f"The 3MF has a tag or comment of more than {PARSED_BYTES >> 20} MiB.")
        parser.Parse(b"", True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(" ")[2]:
            case "vertex":
                self._current.vertices.extend((float(attributes["x"]), float(attributes["y"]), float(attributes["z"])))
            case "triangle":
                self._current.triangles.extend((int(attributes["v1"]), int(attributes["v2"]), int(attributes["v3"])))
            case "object":
                self._current = self.objects[self.file, attributes["id"]] = _Object()
            case "component":
                self._current.components.append(self._placed(attributes))
            case "item":
                self.items.append(self._placed(attributes))

    def _placed(self, attributes: dict[str, str]) -> tuple[tuple[str, str], Floats]:
        # The production extension lets a component name another file of the package.
        other = next((value.lstrip("/") for name, value in attributes.items() if name.endswith(" path")), self.file)
        matrix = np.eye(4)
        if "transform" in attributes:
            matrix[:3, :4] = np.array([float(one) for one in attributes["transform"].split()]).reshape(4, 3).T
        return (other, attributes["objectid"]), matrix


def _refuse_doctype(*_: object) -> None:
    raise MeshError("The 3MF has a document type declaration, which is not allowed.")


def is_package(archive: zipfile.ZipFile) -> bool:
    return "[Content_Types].xml" in archive.namelist() and any(name.endswith(".model") for name in archive.namelist())


def read(source: Path) -> Mesh:
    """Read everything that the package's build places, in its own units; raises `MeshError`."""
    objects: dict[tuple[str, str], _Object] = {}
    items: list[tuple[tuple[str, str], Floats]] = []
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if name.endswith(".model")]
        root = next((name for name in names if name.lower() == MODEL.lower()), names[0])
        if len(names) > MAX_MODELS:
            raise MeshError(f"The 3MF holds more than {MAX_MODELS} model files.")
        # Python's ZIP reader gives no more of a member than the size that the ZIP states.
        if sum(archive.getinfo(name).file_size for name in names) > MAX_MODEL_BYTES:
            raise MeshError(f"The 3MF unpacks to more than {MAX_MODEL_BYTES >> 20} MiB.")
        for name in names:
            reader = _Reader(name, objects)
            with archive.open(name) as stream:
                reader.parse(stream)
            if name == root:
                items = reader.items
    meshes = {key: _mesh(one) for key, one in objects.items() if one.triangles}
    placed: list[Mesh] = []
    for count, (key, matrix) in enumerate(_instances(items, objects, MAX_DEPTH)):
        # What has no mesh counts as well: thirty objects of ten components each are 10^30 visits.
        if count >= MAX_INSTANCES:
            raise MeshError(f"The 3MF places more than {MAX_INSTANCES} objects.")
        if key in meshes:
            placed.append(transformed(meshes[key], matrix))
    return joined(placed)


def _mesh(one: _Object) -> Mesh:
    mesh = Mesh(np.array(one.vertices).reshape(-1, 3), np.array(one.triangles, np.int32).reshape(-1, 3))
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise MeshError("A triangle of the mesh has a corner that does not exist.")
    return mesh


def _instances(
    items: list[tuple[tuple[str, str], Floats]], objects: dict[tuple[str, str], _Object], depth: int
) -> Iterator[tuple[tuple[str, str], Floats]]:
    if not depth:
        raise MeshError("The 3MF nests its components too deeply.")
    for key, matrix in items:
        yield key, matrix
        if one := objects.get(key):
            for inner, placed in _instances(one.components, objects, depth - 1):
                yield inner, matrix @ placed


def write(mesh: Mesh, path: Path) -> None:
    """Write one object in millimetres. Coordinates are written so that reading gives the same float32."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(_member("[Content_Types].xml"), CONTENT_TYPES)
        archive.writestr(_member("_rels/.rels"), RELATIONSHIPS)
        member = _member(MODEL)
        with archive.open(member, "w", force_zip64=len(mesh.faces) > 20_000_000) as model:
            model.write(MODEL_HEAD.encode())
            for text in _rows('<vertex x="{!s}" y="{!s}" z="{!s}"/>\n', mesh.vertices.astype(np.float32)):
                model.write(text)
            model.write(MODEL_MIDDLE.encode())
            for text in _rows('<triangle v1="{}" v2="{}" v3="{}"/>\n', mesh.faces):
                model.write(text)
            model.write(MODEL_TAIL.encode())


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    return member


def _rows(template: str, rows: Floats | Ints) -> Iterator[bytes]:
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        yield (template * len(chunk)).format(*chunk.ravel()).encode()
