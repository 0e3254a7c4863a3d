"""The folders of attempts: made, removed, and swept up after workers that were killed."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from storage import StorageUnavailable
from tasks.scratch import KEPT_SECONDS, remove_left, scratch


async def attempt(work_dir: Path, error: Exception) -> None:
    async with scratch(work_dir) as folder:
        (folder / "source").write_bytes(b"mesh")
        raise error


def test_the_folder_lasts_as_long_as_the_attempt(tmp_path: Path):
    with pytest.raises(KeyError):
        asyncio.run(attempt(tmp_path / "work", KeyError()))
    assert list((tmp_path / "work").iterdir()) == []


def test_what_killed_workers_left_is_removed_when_it_is_a_day_old(tmp_path: Path):
    names = ("model-old", "model-young", "download-old", "local-models")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "source").write_bytes(b"mesh")
        past = time.time() - KEPT_SECONDS - 60
        if name != "model-young":
            os.utime(tmp_path / name, (past, past))
    asyncio.run(remove_left(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local-models", "model-young"]
    asyncio.run(remove_left(tmp_path / "not there yet"))


def test_a_disk_that_fills_up_is_said(tmp_path: Path):
    with pytest.raises(StorageUnavailable, match="WORK_DIR cannot be written to: No space left"):
        asyncio.run(attempt(tmp_path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(StorageUnavailable, match="WORK_DIR"):
        asyncio.run(attempt(Path("/dev/null/work"), AssertionError("not reached")))
    with pytest.raises(ConnectionResetError):
        asyncio.run(attempt(tmp_path, ConnectionResetError(errno.ECONNRESET, "a provider's connection")))
    assert list(tmp_path.iterdir()) == []
