"""What the disk can do to the local folder, and what is said of it."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import resource
import signal
import tempfile
from pathlib import Path

import pytest

from storage import StorageUnavailable
from storage import local as local_module
from storage.local import LocalStorage

KEY = "requests/req_1/img_1/abc.png"


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def put_in_child(prepare, folder):
    """What a put in a process of its own came to: its error's message, or `stored`."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=report_put, args=(prepare, folder, there))
    process.start()
    there.close()
    assert here.poll(30)
    said = here.recv()
    process.join(10)
    assert process.exitcode == 0
    return said


def report_put(prepare, folder, connection):
    asyncio.run(asyncio.to_thread(int))  # all that a thread needs is imported while it may still be read
    prepare()
    try:
        asyncio.run(LocalStorage(folder).put(KEY, bytes(4_000_000), "image/png"))
    except StorageUnavailable as error:
        connection.send(str(error))
    else:
        connection.send("stored")


def allow_small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))


def become_nobody():
    if os.geteuid() == 0:
        os.setuid(65534)


def test_a_file_that_the_system_cuts_off_is_not_stored(tmp_path):
    """A real short write: the kernel takes a part of the bytes, then refuses."""
    assert "no space is left" in put_in_child(allow_small_files, tmp_path / "files")
    assert files_below(tmp_path / "files") == []


def test_a_folder_without_the_right_to_write():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        assert "may not be written" in put_in_child(become_nobody, Path(name))
        assert files_below(Path(name)) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["fsync", "write", "open", "mkdir", "_sync_folder"])
async def test_a_full_disk_leaves_nothing_half_written_and_recovers(tmp_path, monkeypatch, number, where):
    storage = LocalStorage(tmp_path / "files")
    await storage.check()

    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        match where:
            case "fsync" | "write" | "open":
                patch.setattr(local_module.os, where, full)
            case "mkdir":
                patch.setattr(local_module.Path, "mkdir", full)
            case "_sync_folder":
                patch.setattr(local_module, where, full)
        with pytest.raises(StorageUnavailable, match=r"STORAGE_DIR: no space is left for .*files; free some"):
            await storage.put(KEY, b"x" * 10_000, "image/png")
        assert files_below(tmp_path / "files") == []
    await storage.put(KEY, b"x", "image/png")
    assert await storage.read(KEY, 10) == b"x"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
async def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch, number):
    storage = LocalStorage(tmp_path / "files")

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local_module.os, "open", refuse)
    for action in (storage.check(), storage.put(KEY, b"x", "image/png")):
        with pytest.raises(StorageUnavailable, match=r"STORAGE_DIR: .*files may not be written; give"):
            await action


async def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "files").write_bytes(b"")
    for root in (tmp_path / "files", tmp_path / "files" / "below"):
        storage = LocalStorage(root)
        for action in (storage.check(), storage.put(KEY, b"x", "image/png")):
            with pytest.raises(StorageUnavailable, match=r"STORAGE_DIR: .*is no folder; move it, or set another"):
                await action


async def test_a_file_where_a_folder_of_the_key_should_be(tmp_path):
    storage = LocalStorage(tmp_path / "files")
    await storage.put("requests/req_1", b"x", "image/png")
    with pytest.raises(StorageUnavailable, match="is no folder"):
        await storage.put(KEY, b"x", "image/png")
    assert files_below(tmp_path / "files") == ["requests/req_1"]


async def test_check_makes_the_folder_and_leaves_nothing_in_it(tmp_path):
    storage = LocalStorage(tmp_path / "files" / "below")
    await storage.check()
    assert list((tmp_path / "files" / "below").iterdir()) == []
