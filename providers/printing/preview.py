"""The preview of a model: a picture of the mesh on its bed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from providers.printing.mesh import Mesh, normals
from providers.printing.preparing import PREVIEW_NAME
from providers.printing.rendering import Surface, View, render

PIXELS = 512
PLASTIC = (0.42, 0.50, 0.58)
GROUND = (0.80, 0.80, 0.79)


def draw(mesh: Mesh, folder: Path) -> None:
    """Write the preview, 512 pixels square, PNG."""
    directions = normals(mesh)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-30)
    triangles = mesh.triangles.astype(np.float32)
    colours = np.broadcast_to(np.array(PLASTIC, np.float32), (len(triangles), 3))
    # A flat model, such as a relief, is looked down upon.
    width, depth, height = np.ptp(mesh.vertices, axis=0)
    flat = height < 0.35 * max(width, depth)
    view = View(azimuth=-28, elevation=58 if flat else 24)
    picture = render(Surface(triangles, directions.astype(np.float32), colours), view, GROUND, PIXELS)
    picture.save(folder / PREVIEW_NAME, optimize=True)
