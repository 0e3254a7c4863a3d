"""Files in a local folder, served by this program."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event

from storage import threads
from storage.keys import check_key, check_prefix
from storage.protocol import AlreadyStored, FileTooLarge, NotStored, StorageUnavailable, Stored

CHUNK_BYTES = 1 << 20
ATTEMPTS = 5

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
NO_FOLDER = {errno.ENOTDIR, errno.EEXIST, errno.ELOOP}


class LocalStorage:
    """A folder. A file never changes once it is stored, and is seen by nobody before: nothing refers to it yet.

    Of a process that is killed, half a file may stay, as a whole one may that it could not tell of.
    """

    def __init__(self, root: Path) -> None:
        self._name = root
        self._root = root.absolute()

    async def put(self, key: str, source: Path | bytes, content_type: str) -> Stored:  # noqa: ARG002  # goes by extension
        path = self._path(key)
        if isinstance(source, Path) and not await asyncio.to_thread(source.is_file):
            raise FileNotFoundError(errno.ENOENT, "There is no such file to store", str(source))
        return await threads.run(lambda stop: self._put(key, path, source, stop), undo=lambda: self._delete(path))

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Path]:
        yield (await self.find(key))[0]

    async def read(self, key: str, limit: int) -> bytes:
        path, found = await self.find(key)
        if found.st_size > limit:
            raise FileTooLarge(f"{key} has {found.st_size} bytes, more than {limit}")
        return await asyncio.to_thread(self._read, key, path)

    async def find(self, key: str) -> tuple[Path, os.stat_result]:
        """Where the file is, and its size and time."""
        path = self._path(key)
        return path, await asyncio.to_thread(self._stat, key, path)

    async def url(self, key: str) -> str:
        return f"/files/{check_key(key)}"

    async def public_url(self, key: str) -> str | None:
        check_key(key)
        return None

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, self._path(key))

    async def delete_prefix(self, prefix: str) -> None:
        check_prefix(prefix)
        above, _, start = prefix.rpartition("/")
        await asyncio.to_thread(self._delete_prefixed, self._root / above, start)

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _put(self, key: str, path: Path, source: Path | bytes, stop: Event) -> Stored:
        """Store the file, and sync it and the folders that have something new, to outlive a power cut.

        Few system calls: at each, a thread gives the interpreter away.
        """
        with self._explained():
            descriptor, changed = self._create(key, path)
            try:
                byte_size, sha256 = _write(descriptor, source, stop)
                for folder in changed:
                    with suppress(FileNotFoundError):  # the whole folder was deleted a moment after
                        _sync_folder(folder)
            except BaseException:
                with suppress(StorageUnavailable):
                    self._delete(path)
                raise
        return Stored(key, byte_size, sha256)

    def _create(self, key: str, path: Path) -> tuple[int, list[Path]]:
        """A new file's descriptor, and the folders that have something new."""
        changed = [path.parent]
        failed = 0
        while True:
            try:
                changed += self._make_folder(path.parent)
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), changed
            except FileNotFoundError:  # another file's deletion has just taken the empty folder away
                failed += 1
                if failed == ATTEMPTS:
                    raise
            except FileExistsError:
                if path.is_symlink() or path.exists():
                    raise AlreadyStored(errno.EEXIST, "A key is never used twice", key) from None
                raise

    def _make_folder(self, folder: Path) -> list[Path]:
        """Make the folder and those above it; returns the folders that have a new one. Raises where one is a link."""
        changed = []
        for way in self._ways(folder):
            try:
                found = os.lstat(way)
            except FileNotFoundError:
                try:
                    Path(way).mkdir(exist_ok=True)
                except FileNotFoundError:
                    self._root.mkdir(parents=True, exist_ok=True)
                    Path(way).mkdir(exist_ok=True)
                changed.append(Path(way).parent)
            else:
                if not stat.S_ISDIR(found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), way)
        return changed

    def _ways(self, folder: Path) -> Iterator[str]:
        """The folders from below the root down to this one."""
        way = str(self._root)
        for part in folder.parts[len(self._root.parts) :]:
            way = f"{way}{os.sep}{part}"
            yield way

    def _stat(self, key: str, path: Path) -> os.stat_result:
        with self._explained():
            if self._is_inside(path.parent):
                with suppress(FileNotFoundError, NotADirectoryError):
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        return found
        raise NotStored(key)

    def _is_inside(self, folder: Path) -> bool:
        """Whether the way from the root down to the folder has no link in it."""
        return not any(os.path.islink(way) for way in self._ways(folder))  # noqa: PTH114  # paths are texts here, for speed

    def _read(self, key: str, path: Path) -> bytes:
        with self._explained():
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise NotStored(key) from None

    def _delete(self, path: Path) -> None:
        with self._explained():
            if not self._is_inside(path.parent):
                return
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                if not stat.S_ISDIR(path.lstat().st_mode):
                    path.unlink()
            self._prune(path.parent)

    def _delete_prefixed(self, folder: Path, start: str) -> None:
        """Remove what lies in the folder under names that begin so, and what is below."""
        with self._explained():
            if not self._is_inside(folder):
                return
            for attempt in range(ATTEMPTS):
                try:
                    for entry in [entry for entry in os.scandir(folder) if entry.name.startswith(start)]:
                        if entry.is_dir(follow_symlinks=False):
                            shutil.rmtree(entry)
                        else:
                            Path(entry).unlink(missing_ok=True)
                    break
                except (FileNotFoundError, NotADirectoryError):
                    if not folder.is_dir():
                        return
                except OSError as error:  # a file came while a folder was being emptied
                    if error.errno != errno.ENOTEMPTY or attempt == ATTEMPTS - 1:
                        raise
            self._prune(folder)

    def _prune(self, folder: Path) -> None:
        """Remove the folder and those above it while they are empty."""
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent

    def _check(self) -> None:
        with self._explained():
            self._root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._root, buffering=0) as probe:
                probe.write(b"\0" * 4096)
                os.fsync(probe.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (AlreadyStored, NotStored):
            raise
        except OSError as error:
            raise StorageUnavailable(_advice(self._name, error)) from error


def _advice(root: Path, error: OSError) -> str:
    if error.errno in NO_SPACE:
        return f"STORAGE_DIR: no space is left for {root}; free some, or set it to a folder on another disk"
    if error.errno in NO_RIGHT:
        return f"STORAGE_DIR: {root} may not be written; give the program's user the right, or set another folder"
    if error.errno in NO_FOLDER:
        return f"STORAGE_DIR: {root}, or something on the way to it or in it, is no folder; move it, or set another"
    return f"STORAGE_DIR: {root} cannot be used: {error.strerror or error}; mend what it lies in, or set another folder"


def _write(descriptor: int, source: Path | bytes, stop: Event) -> tuple[int, str]:
    """Write a file, sync it, and close it whatever happens; returns its size in bytes and its SHA-256."""
    digest = hashlib.sha256()
    byte_size = 0
    try:
        for chunk in _chunks(source):
            if stop.is_set():
                raise threads.Stopped
            digest.update(chunk)
            byte_size += _write_all(descriptor, chunk)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return byte_size, digest.hexdigest()


def _write_all(descriptor: int, chunk: bytes) -> int:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return len(chunk)


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
