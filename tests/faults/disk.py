"""A disk that can be full: a small file system of its own where mounts are allowed, else a limit on files' sizes."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers import missing

MEGABYTES = 24
CHUNK = bytes(1 << 16)


class Disk:
    """A folder. `fill` leaves no room in it; `free` gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pids: Sequence[int]) -> None:
        with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(CHUNK)
        # Down to the last block.
        with suppress(OSError), (self.folder / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(CHUNK[:512])

    def free(self, pids: Sequence[int]) -> None:
        for name in ("ballast", "rest"):
            (self.folder / name).unlink(missing_ok=True)


class Limited(Disk):
    """No file of these processes may be written beyond its beginning: the same to a program, with another errno."""

    def fill(self, pids: Sequence[int]) -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free(self, pids: Sequence[int]) -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A disk of its own at a folder. Needs Linux."""
    folder.mkdir()
    if not hasattr(resource, "prlimit"):
        missing("neither a file system can be mounted nor another process's files be limited here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        yield Limited(folder)
        return
    try:
        yield Disk(folder)
    finally:
        # Whoever is still writing there must not keep it.
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), 2)
