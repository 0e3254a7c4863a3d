"""The whole offline way, from a prompt to files that admesh and PrusaSlicer take as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh
from trimesh.creation import box, icosphere

from events.outcome import ModelFormat, PrintIssueCode
from providers.load import image_provider, model_provider, prompt_provider
from providers.printing import Prepared, prepare
from providers.protocol import PollState, SourceImage
from settings import Settings


def tool(name: str) -> str:
    """The path of a program; its test is skipped without it, except where CI must have it."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


def admesh_figures(stl: Path) -> dict[str, int]:
    """What admesh counts and mends, by its own names."""
    # In the place of the file's kind, some builds of admesh print what was left in memory.
    output = subprocess.run(
        [tool("admesh"), str(stl)], capture_output=True, text=True, errors="replace", check=True, timeout=120
    ).stdout
    return {name.strip(): int(count) for name, count in re.findall(r"^(\w[\w ]+?)\s*:\s+(-?\d+)", output, re.MULTILINE)}


def assert_needs_no_repair(stl: Path) -> None:
    figures = admesh_figures(stl)
    for name in (
        "Facets with 1 disconnected edge",
        "Facets with 2 disconnected edges",
        "Facets with 3 disconnected edges",
        "Total disconnected facets",
        "Degenerate facets",
        "Edges fixed",
        "Facets removed",
        "Facets added",
        "Facets reversed",
        "Backwards edges",
    ):
        assert figures[name] == 0, name


def assert_slices(file: Path, folder: Path) -> None:
    slicer = tool("prusa-slicer")
    command = [slicer, "--info", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, cwd=folder)
    assert "manifold = yes" in told.stdout
    assert not re.search(r"repair|open_edges|facets_reversed|edges_fixed|degenerate", told.stdout)
    target = folder / f"{file.name}.gcode"
    command = [slicer, "--export-gcode", "--output", str(target), str(file)]
    sliced = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=folder)
    assert sliced.returncode == 0, sliced.stderr
    # The folder is named after the test, and a test may speak of repairs.
    said = (sliced.stdout + sliced.stderr).replace(str(folder), "")
    assert not re.search(r"repair|error", said, re.IGNORECASE)
    assert target.stat().st_size > 10_000


def assert_prints(prepared: Prepared, folder: Path) -> None:
    assert prepared.report.printable
    assert_needs_no_repair(prepared.files[ModelFormat.STL])
    for kind in (ModelFormat.STL, ModelFormat.THREE_MF):
        assert_slices(prepared.files[kind], folder)


@pytest.mark.parametrize(
    ("prompt", "index"), [("a small owl with big eyes, standing on a book", 2), ("一个高高的花瓶", 0), ("hope", 3)]
)
async def test_a_prompt_becomes_a_model_that_prints(tmp_path: Path, prompt: str, index: int) -> None:
    settings = Settings(work_dir=tmp_path / "work")
    prompts, images, models = prompt_provider(settings), image_provider(settings), model_provider(settings)

    picture = await images.generate((await prompts.optimize(prompt)).variants[index], index)
    assert picture.content is not None
    job_id = await models.submit(SourceImage(picture.content, "image/png"))
    while (state := await models.poll(job_id)).state is not PollState.DONE:
        pass
    (file,) = state.files
    assert file.path is not None
    prepared = await prepare(file.path, 80, tmp_path / "out")
    for provider in (prompts, images, models):
        await provider.aclose()

    assert_prints(prepared, tmp_path)
    report = prepared.report
    assert max(report.width_mm, report.depth_mm) == 80
    # Lying on the bed with the picture facing up.
    assert report.height_mm < 25
    assert report.body_count == 1
    assert report.issues == ()


def saved(mesh: trimesh.Trimesh, path: Path) -> Path:
    mesh.export(path)
    return path


def holed() -> trimesh.Trimesh:
    mesh = icosphere(4)
    mesh.update_faces(np.arange(len(mesh.faces)) % 900 != 5)
    return mesh


def inverted() -> trimesh.Trimesh:
    mesh = icosphere(4)
    mesh.invert()
    return mesh


def disagreeing() -> trimesh.Trimesh:
    mesh = icosphere(4)
    mesh.faces[::3] = mesh.faces[::3, ::-1]
    return mesh


def doubled() -> trimesh.Trimesh:
    mesh = icosphere(3)
    return trimesh.Trimesh(mesh.vertices, np.concatenate([mesh.faces, mesh.faces[:200]]), process=False)


def apart() -> trimesh.Trimesh:
    other = box()
    other.apply_translation((3, 0, 0))
    return trimesh.util.concatenate([icosphere(3), other])


@pytest.mark.parametrize("make", [holed, inverted, disagreeing, doubled, apart], ids=lambda make: make.__name__)
async def test_what_can_be_repaired_prints(tmp_path: Path, make: object) -> None:
    assert callable(make)

    prepared = await prepare(saved(make(), tmp_path / "source.stl"), 40, tmp_path / "out")

    assert_prints(prepared, tmp_path)
    told = {issue.code for issue in prepared.report.issues}
    assert told == ({PrintIssueCode.MULTIPLE_BODIES} if make is apart else set())


@pytest.mark.parametrize("size_mm", [1, 250, 2000])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
async def test_any_size_closes_in_the_files(tmp_path: Path, size_mm: float, scale: float) -> None:
    mesh = icosphere(5)
    mesh.vertices *= (1 + 0.2 * np.sin(12 * mesh.vertices)) * scale
    # Far from the origin, where float32 is coarse.
    mesh.vertices += (5 * scale, -3 * scale, 9 * scale)

    prepared = await prepare(saved(mesh, tmp_path / "source.glb"), size_mm, tmp_path / "out")

    assert prepared.report.printable
    assert prepared.report.height_mm <= size_mm
    assert (PrintIssueCode.TOO_LARGE in {issue.code for issue in prepared.report.issues}) == (size_mm > 256)
    assert_needs_no_repair(prepared.files[ModelFormat.STL])


async def test_an_open_shell_is_not_called_printable_and_admesh_agrees(tmp_path: Path) -> None:
    mesh = icosphere(3)
    mesh.update_faces(mesh.triangles_center[:, 2] < 0.3)

    prepared = await prepare(saved(mesh, tmp_path / "source.stl"), 40, tmp_path / "out")

    assert not prepared.report.printable
    assert admesh_figures(prepared.files[ModelFormat.STL])["Facets with 1 disconnected edge"] > 0
