"""Preparing in a child process: its files, its failures, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from structlog.testing import capture_logs

from events.outcome import FailureCode, ModelFormat, PrintIssueCode
from providers.printing import prepare, preparing
from providers.protocol import ProviderError

ROOT = Path(__file__).parents[3]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(of: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(of)], capture_output=True, text=True, check=False)
    return [pid for one in found.stdout.split() if alive(pid := int(one)) and b"providers.printing" in command(pid)]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # a process of another program sets no event
            await asyncio.sleep(0.01)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


async def test_a_delivered_glb_becomes_four_files_a_preview_and_a_report(tmp_path: Path) -> None:
    trimesh.creation.capsule(height=2, radius=1).export(tmp_path / "delivered.glb")

    prepared = await prepare(tmp_path / "delivered.glb", 90, tmp_path / "out")

    assert set(prepared.files) == set(ModelFormat)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("model.3mf", "model.glb", "model.obj", "model.stl", "preview.png")
    ]
    assert prepared.preview.read_bytes().startswith(b"\x89PNG")
    # A capsule along z, in a file with Y up, lies on the bed.
    assert (prepared.report.width_mm, prepared.report.depth_mm, prepared.report.height_mm) == (45, 90, 45)
    assert prepared.report.printable


async def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    trimesh.creation.torus(2, 1).export(tmp_path / "delivered.stl")

    one, two = await asyncio.gather(*(prepare(tmp_path / "delivered.stl", 50, tmp_path / name) for name in "ab"))

    for kind, path in one.files.items():
        assert path.read_bytes() == two.files[kind].read_bytes(), kind
    assert one.preview.read_bytes() == two.preview.read_bytes()
    assert one.report == two.report


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"v 0 0 0\nv 1 0 0\nv 0 1 nan\nf 1 2 3\n"])
async def test_what_is_no_mesh_is_bad_output_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "delivered").write_bytes(content)

    with pytest.raises(ProviderError) as caught:
        await prepare(tmp_path / "delivered", 50, tmp_path / "out")

    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
    assert not caught.value.failure.retryable
    assert list((tmp_path / "out").iterdir()) == []


async def test_what_a_library_says_of_a_file_is_logged_in_bounds_and_not_told(tmp_path: Path) -> None:
    (tmp_path / "delivered.obj").write_bytes(b"v 0 0 \x1b[31m" + b"x" * 900_000 + b"\nf 1 1 1\n")

    with capture_logs() as logged, pytest.raises(ProviderError) as caught:
        await prepare(tmp_path / "delivered.obj", 50, tmp_path / "out")

    assert caught.value.failure.message == "The file begins like OBJ, and cannot be read: it is damaged."
    (entry,) = logged
    assert entry["log_level"] == "info"
    assert entry["detail"].isprintable()
    assert len(entry["detail"]) <= 500


async def test_a_mesh_beyond_the_bound_on_memory_is_bad_output(tmp_path: Path) -> None:
    # 20 million vertices, a third of a GiB: more than the child may use by the time they are placed.
    vertices = np.random.default_rng(0).random((20_000_000, 3), np.float32)
    header = np.array([0x46546C67, 2], "<u4").tobytes()
    size = vertices.nbytes
    tree = (
        '{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],'
        '"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],'
        f'"buffers":[{{"byteLength":{size}}}],"bufferViews":[{{"buffer":0,"byteLength":{size}}}],'
        '"accessors":[{"bufferView":0,"componentType":5126,"count":19999998,"type":"VEC3"}]}'
    ).encode()
    tree += b" " * (-len(tree) % 4)
    with (tmp_path / "huge.glb").open("wb") as file:
        file.write(header + np.array([28 + len(tree) + size, len(tree)], "<u4").tobytes() + b"JSON" + tree)
        file.write(np.array([size], "<u4").tobytes() + b"BIN\0")
        vertices.tofile(file)

    with pytest.raises(ProviderError) as caught:
        await prepare(tmp_path / "huge.glb", 50, tmp_path / "out")

    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
    assert "too large" in caught.value.failure.message
    assert list((tmp_path / "out").iterdir()) == []


def large(folder: Path) -> Path:
    trimesh.creation.icosphere(7).export(folder / "large.stl")
    return folder / "large.stl"


@needs_proc
async def test_cancelling_ends_the_child_and_leaves_nothing(tmp_path: Path) -> None:
    task = asyncio.create_task(prepare(large(tmp_path), 50, tmp_path / "out"))
    await until(lambda: children(os.getpid()))
    started = children(os.getpid())

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not any(alive(pid) for pid in started)
    assert list((tmp_path / "out").iterdir()) == []


@needs_proc
async def test_a_child_that_is_killed_is_internal_and_retryable(tmp_path: Path) -> None:
    task = asyncio.create_task(prepare(large(tmp_path), 50, tmp_path / "out"))
    await until(lambda: children(os.getpid()))

    os.kill(children(os.getpid())[0], signal.SIGKILL)
    with pytest.raises(ProviderError) as caught:
        await task

    assert caught.value.failure.code is FailureCode.INTERNAL
    assert caught.value.failure.retryable
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no processor time")
async def test_a_mesh_beyond_the_bound_on_time_is_bad_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "MAX_SECONDS", 1)

    with pytest.raises(ProviderError) as caught:
        await prepare(large(tmp_path), 50, tmp_path / "out")

    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
    assert not caught.value.failure.retryable
    assert "more than 1 seconds of processor time" in caught.value.failure.message
    assert list((tmp_path / "out").iterdir()) == []


@needs_proc
async def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from providers.printing import prepare
        asyncio.run(prepare(Path(sys.argv[1]), 50, Path(sys.argv[2])))
    """)
    arguments = (str(large(tmp_path)), str(tmp_path / "out"))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, *arguments, cwd=ROOT)
    await until(lambda: children(parent.pid))
    started = children(parent.pid)

    parent.kill()
    await parent.wait()

    await until(lambda: not any(alive(pid) for pid in started), 5)


async def test_the_event_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    longest = 0.0
    source = large(tmp_path)
    task = asyncio.create_task(prepare(source, 50, tmp_path / "out"))
    while not task.done():
        before = loop.time()
        await asyncio.sleep(0.005)
        longest = max(longest, loop.time() - before)

    assert (await task).report.triangle_count == 20 * 4**7
    assert longest < 0.5


def test_the_child_is_given_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DATABASE_URL", "mysql+aiomysql://root:secret@host/db")

    assert "secret" not in str(preparing._environment())


async def test_what_stays_open_is_told(tmp_path: Path) -> None:
    sheet = trimesh.creation.icosphere(3)
    sheet.update_faces(sheet.triangles_center[:, 2] < 0.2)
    sheet.export(tmp_path / "open.stl")

    report = (await prepare(tmp_path / "open.stl", 50, tmp_path / "out")).report

    assert not report.printable
    assert [issue.code for issue in report.issues] == [PrintIssueCode.NOT_WATERTIGHT]
