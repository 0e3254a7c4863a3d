"""What `maquette doctor` looks at on this machine: the folder of work, and whether the database can be written."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from db.session import Database
from server.doctor import _work_folder, _writable
from settings import Settings
from storage import StorageUnavailable

NOBODY = 65534


async def written(path: Path) -> str | None:
    url = f"sqlite+aiosqlite:///{path}"
    database = Database(url, lambda _: None)
    try:
        return await _writable(SimpleNamespace(database=database, settings=Settings(_env_file=None, database_url=url)))
    finally:
        await database.aclose()


def report(path, connection):
    """Once as whoever owns the file, which imports all that it takes, then as one who may only read it."""
    said = [asyncio.run(written(path))]
    path.chmod(0o444)
    path.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    connection.send([*said, asyncio.run(written(path))])


def test_a_database_file_that_may_only_be_read():
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as name:
        process = context.Process(target=report, args=(Path(name) / "maquette.db", there))
        process.start()
        there.close()
        assert here.poll(60)
        owner, other = here.recv()
        process.join(10)
        Path(name).chmod(0o755)
    assert owner is None
    assert other.startswith("DATABASE_URL: sqlite+aiosqlite:///")
    assert "cannot be used: " in other
    assert other.endswith("; mend the file or its folder, or name another")


async def test_the_folder_of_work_is_left_as_it_was(tmp_path):
    await _work_folder(tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_folder_of_work_that_is_none(tmp_path):
    (tmp_path / "work").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match=r"^WORK_DIR: .*work cannot be written to: .*; make room, give"):
        await _work_folder(tmp_path / "work")
