"""Preparing a mesh of 1.3 million faces for print: seconds, and the peak memory of the child process.

python -m bench.printing [--subdivisions 8]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import trimesh

from providers.printing import prepare


def displaced_sphere(subdivisions: int) -> trimesh.Trimesh:
    """A sphere of 20 * 4 ** subdivisions faces with waves on it."""
    sphere = trimesh.creation.icosphere(subdivisions)
    waves = 1 + 0.08 * np.sin(9 * sphere.vertices).prod(1) + 0.02 * np.sin(60 * sphere.vertices[:, 2])
    return trimesh.Trimesh(sphere.vertices * waves[:, None], sphere.faces, process=False)


def write_inputs(folder: Path, subdivisions: int) -> list[Path]:
    mesh = displaced_sphere(subdivisions)
    loose = trimesh.Trimesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3), process=False)
    files = []
    for name, source, kind in (
        ("welded", mesh, "glb"),
        ("loose", loose, "glb"),
        ("welded", mesh, "obj"),
        ("loose", mesh, "stl"),
    ):
        path = folder / f"{name}.{kind}"
        source.export(path)
        files.append(path)
    return files


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subdivisions", type=int, default=8)
    parser.add_argument("--one", type=Path, help="prepare this file and print its figures")
    arguments = parser.parse_args()
    if arguments.one:
        await measure(arguments.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in write_inputs(Path(folder), arguments.subdivisions):
            # The peak is of all children so far: one process a file.
            child = await asyncio.create_subprocess_exec(sys.executable, __file__, "--one", str(path))
            await child.wait()


async def measure(path: Path) -> None:
    with tempfile.TemporaryDirectory() as into:
        start = time.perf_counter()
        prepared = await prepare(path, 120, Path(into))
        seconds = time.perf_counter() - start
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    print(f"{path.name:12} {prepared.report.triangle_count:9,} faces {seconds:6.1f} s {peak:5.2f} GiB")


if __name__ == "__main__":
    asyncio.run(main())
