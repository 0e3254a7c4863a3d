from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settings import Settings
from storage import AlreadyStored, FileTooLarge, InvalidKey, NotStored, StorageUnavailable, open_storage
from storage import local as local_module
from storage.local import LocalStorage

KEY = "requests/req_1/img_1/abc.png"
PREFIXED = ["r/on/a.png", "r/one.png", "r/one/a.png", "r/one/b/c.png", "r/one2/a.png"]


@pytest.fixture
def storage(tmp_path) -> LocalStorage:
    return LocalStorage(tmp_path / "files")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_the_folder_is_chosen_without_a_bucket(tmp_path):
    assert isinstance(open_storage(Settings(_env_file=None, storage_dir=tmp_path)), LocalStorage)


@pytest.mark.parametrize("size", [0, 1, 3 * 2**20 + 1])
async def test_what_is_put_is_read_back(storage, tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    from_bytes = await storage.put("a/bytes.png", content, "image/png")
    from_path = await storage.put("a/path.png", tmp_path / "source", "image/png")
    assert from_bytes.byte_size == from_path.byte_size == size
    assert from_bytes.sha256 == from_path.sha256 == hashlib.sha256(content).hexdigest()
    assert await storage.read("a/bytes.png", size) == await storage.read("a/path.png", size) == content
    async with storage.open("a/path.png") as path:
        assert path.read_bytes() == content
    assert files_below(tmp_path / "files") == ["a/bytes.png", "a/path.png"]


async def test_a_key_is_never_reused(storage, tmp_path):
    await storage.put(KEY, b"first", "image/png")
    with pytest.raises(AlreadyStored):
        await storage.put(KEY, b"second", "image/png")
    assert await storage.read(KEY, 100) == b"first"
    assert files_below(tmp_path / "files") == [KEY]


async def test_of_many_at_once_to_one_key_one_wins(storage):
    contents = [str(number).encode() for number in range(16)]
    results = await asyncio.gather(
        *(storage.put(KEY, content, "image/png") for content in contents), return_exceptions=True
    )
    stored = [result for result in results if not isinstance(result, AlreadyStored)]
    assert len(stored) == 1
    assert hashlib.sha256(await storage.read(KEY, 100)).hexdigest() == stored[0].sha256


async def test_what_is_not_there(storage):
    for action in (storage.read(KEY, 10), storage.open(KEY).__aenter__(), storage.find(KEY)):
        with pytest.raises(NotStored, match="nothing is stored as requests/req_1"):
            await action
    await storage.put(KEY, b"x", "image/png")
    with pytest.raises(NotStored):
        await storage.read("requests/req_1", 10)
    with pytest.raises(NotStored):
        await storage.read(f"{KEY}/below", 10)


async def test_a_read_is_bounded(storage):
    await storage.put(KEY, b"12345", "image/png")
    assert await storage.read(KEY, 5) == b"12345"
    with pytest.raises(FileTooLarge):
        await storage.read(KEY, 4)


async def test_urls(storage):
    assert await storage.url(KEY) == f"/files/{KEY}"
    assert await storage.public_url(KEY) is None
    with pytest.raises(InvalidKey):
        await storage.url("../secret")


async def test_delete_is_idempotent_and_leaves_no_empty_folder(storage, tmp_path):
    await storage.put(KEY, b"x", "image/png")
    await storage.delete(KEY)
    await storage.delete(KEY)
    with pytest.raises(NotStored):
        await storage.read(KEY, 10)
    assert not (tmp_path / "files" / "requests").exists()


async def test_delete_takes_one_file_and_no_folder(storage):
    await storage.put(KEY, b"x", "image/png")
    await storage.delete("requests/req_1")
    await storage.delete(f"{KEY}/below")
    assert await storage.read(KEY, 10) == b"x"


@pytest.mark.parametrize(
    ("prefix", "kept"),
    [
        ("r/one/", ["r/on/a.png", "r/one.png", "r/one2/a.png"]),
        ("r/one", ["r/on/a.png"]),
        ("r/one.", ["r/on/a.png", "r/one/a.png", "r/one/b/c.png", "r/one2/a.png"]),
        ("r/one.png", ["r/on/a.png", "r/one/a.png", "r/one/b/c.png", "r/one2/a.png"]),
        ("r/one.png/", PREFIXED),
        ("r/two", PREFIXED),
        ("two/", PREFIXED),
        ("r/", []),
        ("r", []),
    ],
)
async def test_delete_prefix_takes_the_keys_that_begin_so(storage, tmp_path, prefix, kept):
    for key in PREFIXED:
        await storage.put(key, b"x", "image/png")
    for _ in range(2):
        await storage.delete_prefix(prefix)
        assert files_below(tmp_path / "files") == kept
    assert (tmp_path / "files" / "r").exists() is bool(kept)


async def test_putting_while_folders_vanish_does_not_fail(storage):
    async def one(number: int) -> None:
        key = f"shared/folder/{number}.png"
        await storage.put(key, b"x", "image/png")
        await storage.delete(key)

    await asyncio.gather(*(one(number) for number in range(200)))


async def test_what_may_not_be_listed_is_not_taken_for_deleted(storage, monkeypatch):
    await storage.put(KEY, b"x", "image/png")

    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageUnavailable, match="may not be written"):
        await storage.delete_prefix("requests/")


async def test_deleting_a_folder_that_is_being_filled_ends(storage, tmp_path):
    puts = [storage.put(f"r/one/{number}.png", b"x", "image/png") for number in range(100)]
    await asyncio.gather(*puts, *(storage.delete_prefix("r/one") for _ in range(20)))
    await storage.delete_prefix("r/one")
    assert files_below(tmp_path / "files") == []


@pytest.mark.parametrize("prefix", ["", "/", ".", "..", "../x", ".incoming", "r//"])
async def test_a_prefix_is_as_well_formed_as_a_key(storage, prefix):
    with pytest.raises(InvalidKey):
        await storage.delete_prefix(prefix)


async def test_a_cancelled_put_leaves_nothing_behind(storage, tmp_path, monkeypatch):
    started, proceed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    sync_folder = local_module._sync_folder

    def slow_sync(folder):
        sync_folder(folder)
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result()

    monkeypatch.setattr(local_module, "_sync_folder", slow_sync)
    put = asyncio.create_task(storage.put(KEY, b"x", "image/png"))
    await started.wait()
    put.cancel()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert files_below(tmp_path / "files") == []


async def test_a_put_that_is_cancelled_amid_its_file_leaves_nothing_behind(storage, tmp_path, monkeypatch):
    started, proceed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    write_all = local_module._write_all

    def slow_write(descriptor, chunk):
        written = write_all(descriptor, chunk)
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(proceed.wait(), loop).result()
        return written

    monkeypatch.setattr(local_module, "_write_all", slow_write)
    (tmp_path / "source").write_bytes(bytes(2 * local_module.CHUNK_BYTES))
    put = asyncio.create_task(storage.put(KEY, tmp_path / "source", "image/png"))
    await started.wait()
    assert files_below(tmp_path / "files") == [KEY]
    put.cancel()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert files_below(tmp_path / "files") == []


async def test_all_folders_with_something_new_are_synced(storage, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(local_module, "_sync_folder", synced.append)
    await storage.put("r/one/a.png", b"x", "image/png")
    files = tmp_path / "files"
    assert set(synced) == {files, files / "r", files / "r" / "one"}
    synced.clear()
    await storage.put("r/one/b.png", b"x", "image/png")
    assert synced == [files / "r" / "one"]


async def test_a_folder_that_goes_before_its_file_is_there_is_made_again(storage, tmp_path, monkeypatch):
    make_folder = LocalStorage._make_folder
    made = []

    def make_in_vain(self, folder):
        made.append(folder)
        changed = make_folder(self, folder)
        if len(made) == 1:
            folder.rmdir()
        return changed

    monkeypatch.setattr(LocalStorage, "_make_folder", make_in_vain)
    await storage.put(KEY, b"x", "image/png")
    assert await storage.read(KEY, 10) == b"x"


async def test_a_folder_that_is_filled_while_it_is_emptied_is_emptied_again(storage, tmp_path, monkeypatch):
    await storage.put("r/one/a.png", b"x", "image/png")
    rmtree = local_module.shutil.rmtree
    comes = [tmp_path / "files" / "r" / "one" / "late.png"]

    def filled(folder):
        if comes:
            comes.pop().write_bytes(b"x")
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        rmtree(folder)

    monkeypatch.setattr(local_module.shutil, "rmtree", filled)
    await storage.delete_prefix("r/one")
    assert files_below(tmp_path / "files") == []


async def test_what_another_deletion_takes_first_does_not_end_this_one(storage, tmp_path, monkeypatch):
    for number in range(2 * local_module.ATTEMPTS):
        await storage.put(f"r/one-{number}.png", b"x", "image/png")
    unlink = Path.unlink

    def taken(self, **options):
        unlink(self)
        unlink(self, **options)

    monkeypatch.setattr(Path, "unlink", taken)
    await storage.delete_prefix("r/one")
    assert files_below(tmp_path / "files") == []


async def test_of_a_link_the_link_is_deleted(storage, tmp_path):
    await storage.put("r/one.png", b"x", "image/png")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_bytes(b"x")
    (tmp_path / "files" / "r" / "one-link").symlink_to(tmp_path / "outside")
    await storage.delete_prefix("r/one")
    assert files_below(tmp_path) == ["outside/kept"]


PARTS = ["..", ".", "", "a", "out", "link", "file", "secret", "\0", "~", "%2e%2e", "/", "\\"]
LINKS = ["link/secret", "file", "folder/link/secret", "dangling", "link/new", "dangling/new"]
HOSTILE = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(PARTS), max_size=6).map("/".join),
    st.sampled_from(LINKS),
)


@settings(max_examples=300, deadline=None)
@given(key=HOSTILE, verb=st.sampled_from(["put", "read", "open", "find", "delete", "delete_prefix"]))
def test_nothing_outside_the_folder_is_reached(key, verb):
    """Whatever the key, and whatever links lie in the folder."""
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name) / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"secret")
        root = Path(name) / "files"
        (root / "folder").mkdir(parents=True)
        (root / "link").symlink_to(outside)
        (root / "folder" / "link").symlink_to(outside)
        (root / "file").symlink_to(outside / "secret")
        (root / "dangling").symlink_to(outside / "new")

        async def act() -> bytes | None:
            storage = LocalStorage(root)
            match verb:
                case "put":
                    await storage.put(key, b"planted", "image/png")
                case "read":
                    return await storage.read(key, 100)
                case "open":
                    async with storage.open(key) as path:
                        return path.read_bytes()
                case "find":
                    path, _ = await storage.find(key)
                    return path.read_bytes()
                case "delete":
                    await storage.delete(key)
                case "delete_prefix":
                    await storage.delete_prefix(key)
            return None

        try:
            seen = asyncio.run(act())
        except (InvalidKey, NotStored, AlreadyStored, StorageUnavailable):
            seen = None
        assert seen != b"secret"
        assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": b"secret"}
        assert {path.name for path in Path(name).iterdir()} == {"outside", "files"}
