"""What a storage is: what it takes and gives, and the errors it raises."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class StorageUnavailable(Exception):
    """The storage cannot be used now. The message is one line that says what to do and holds no secret."""


class NotStored(KeyError):
    """Nothing is stored under this key."""

    def __str__(self) -> str:
        return f"nothing is stored as {self.args[0]}"


class AlreadyStored(FileExistsError):
    """Something is stored under this key; a key is never used twice."""


class InvalidKey(ValueError):
    """The key is not well formed; `storage.keys` says how it is made up."""


class FileTooLarge(ValueError):
    """The file has more bytes than the caller would take."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What `put` has stored. `sha256` is in hexadecimal."""

    key: str
    byte_size: int
    sha256: str


class Storage(Protocol):
    """Files by key. Every method but `aclose` raises `InvalidKey` and `StorageUnavailable`."""

    async def put(self, key: str, source: Path | bytes, content_type: str) -> Stored:
        """Store a file; raises `AlreadyStored`. A call that is cancelled leaves nothing behind.

        Of one that fails there may be the file, or a part of it, where it cannot be removed or the answer was lost.
        """

    def open(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A path to read the file at while the context lasts; raises `NotStored`."""

    async def read(self, key: str, limit: int) -> bytes:
        """The whole file; raises `NotStored`, and `FileTooLarge` where it has more than `limit` bytes."""

    async def url(self, key: str) -> str:
        """Where a browser loads the file: a path of this server, or a URL. The file need not be there."""

    async def public_url(self, key: str) -> str | None:
        """A URL from which a service elsewhere could load the file; None where there is none."""

    async def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    async def delete_prefix(self, prefix: str) -> None:
        """Remove the files whose keys begin with `prefix`, a key or one with a `/` after it; none is no error."""

    async def check(self) -> None:
        """Try whether files can be stored."""

    async def aclose(self) -> None: ...
