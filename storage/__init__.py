"""Where the files are kept: a local folder."""

from __future__ import annotations

from settings import Settings
from storage.local import LocalStorage
from storage.protocol import AlreadyStored, FileTooLarge, InvalidKey, NotStored, Storage, StorageUnavailable, Stored

__all__ = [
    "AlreadyStored",
    "FileTooLarge",
    "InvalidKey",
    "NotStored",
    "Storage",
    "StorageUnavailable",
    "Stored",
    "open_storage",
]


def open_storage(settings: Settings) -> Storage:
    """The storage that the settings choose. Nothing is written yet; `check` does that."""
    return LocalStorage(settings.storage_dir)
