"""Pictures and models for the stand-ins to serve."""

from __future__ import annotations

import io
import zipfile
from functools import cache

import trimesh
from PIL import Image, ImageDraw


@cache
def picture(seed: int = 0, kind: str = "PNG", width: int = 256, height: int = 256) -> bytes:
    image = Image.new("RGB", (width, height), "white")
    colour = ((seed * 67) % 200, (seed * 131) % 200, 120)
    ImageDraw.Draw(image).rectangle((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=colour)
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


@cache
def model(name: str) -> bytes:
    """`box.glb`, `box.obj`, `box.stl`, `box.zip` (an OBJ inside), `large.glb` that takes seconds to prepare.

    And what is no mesh: `page.html`, `noise.bin`, and `broken.glb`, which begins as one.
    """
    match name:
        case "box.glb" | "box.obj" | "box.stl":
            exported = trimesh.creation.box((1, 1, 2)).export(file_type=name[-3:])
            return exported.encode() if isinstance(exported, str) else bytes(exported)
        case "box.zip":
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("model/box.obj", model("box.obj"))
                archive.writestr("model/material.mtl", "newmtl m\n")
            return content.getvalue()
        case "large.glb":
            return bytes(trimesh.creation.icosphere(6).export(file_type="glb"))
        case "broken.glb":
            return model("box.glb")[:200] + bytes(len(model("box.glb")) - 200)
        case "page.html":
            return b"<!doctype html><title>Not here</title>" + b" " * 4096
        case "noise.bin":
            return bytes(range(1, 256)) * 64
    raise KeyError(name)
