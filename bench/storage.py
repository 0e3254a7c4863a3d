"""How much a process grows while a large file is stored and fetched, and how fast that goes.

    python -m bench.storage [--megabytes 500]

The bucket is of a moto server in a process of its own; peak memory is the VmHWM that Linux keeps, reset each time.
It ends with 1 where that is more than 64 MiB above what it was before.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from storage import Storage
from storage.local import LocalStorage
from tests.servers import Moto

KEY = "requests/bench/model.glb"
CHUNK_BYTES = 1 << 20
ALLOWED_MIB = 64


async def peak(step: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds, and how many MiB this process grew at most; on Linux."""
    _reset_peak()
    before, started = _memory("VmRSS"), time.perf_counter()
    await step()
    return time.perf_counter() - started, _memory("VmHWM") - before


def _memory(field: str) -> float:
    """A field of this process's status, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def measure(name: str, megabytes: int, step: Callable[[], Awaitable[object]]) -> float:
    """What the process grew by at the peak, in MiB."""
    seconds, grown = await peak(step)
    click.echo(f"{name:<14} {megabytes / seconds:8.0f} MB/s {grown:+8.1f} MiB at the peak")
    return grown


async def run(name: str, storage: Storage, source: Path, megabytes: int) -> float:
    async def fetch() -> None:
        async with storage.open(KEY):
            pass

    await storage.put("requests/bench/warm-up.png", b"x", "image/png")
    stored = await measure(f"{name} put", megabytes, lambda: storage.put(KEY, source, "model/gltf-binary"))
    fetched = await measure(f"{name} open", megabytes, fetch)
    await storage.delete_prefix("requests/bench")
    await storage.aclose()
    return max(stored, fetched)


def make_source(path: Path, megabytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // CHUNK_BYTES + 1):
            file.write(os.urandom(CHUNK_BYTES))
    return path


async def run_all(source: Path, megabytes: int, folder: Path) -> float:
    local = await run("local", LocalStorage(folder / "files"), source, megabytes)
    os.environ.update(Moto.environment)
    with Moto() as moto:
        from storage.s3 import S3Storage  # noqa: PLC0415  # boto3 is not to be part of the local figures

        bucket = S3Storage(moto.new_bucket(), endpoint_url=moto.url, base_url=None, work_dir=folder / "work")
        return max(local, await run("s3", bucket, source, megabytes))


@click.command()
@click.option("--megabytes", default=500, show_default=True)
def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="maquette-bench-") as name:
        folder = Path(name)
        grown = asyncio.run(run_all(make_source(folder / "source.glb", megabytes), megabytes, folder))
    if grown > ALLOWED_MIB:
        raise click.ClickException(f"the process grew by {grown:.1f} MiB; at most {ALLOWED_MIB} are allowed")


if __name__ == "__main__":
    main()
