"""Where the files are kept: a local folder, or a bucket of an S3-compatible service."""

from __future__ import annotations

from settings import Settings
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
    """The storage that the settings choose: S3 where S3_BUCKET is set, else the folder STORAGE_DIR.

    Nothing is connected to or written yet; `check` does that. Raises `StorageUnavailable` where what boto3 finds
    of its own settings is half there.
    """
    if settings.s3_bucket is None:
        from storage.local import LocalStorage  # noqa: PLC0415  # each is imported only where it is used

        return LocalStorage(settings.storage_dir)
    from storage.s3 import S3Storage  # noqa: PLC0415  # boto3 takes half a second and 40 MB

    return S3Storage(
        settings.s3_bucket,
        endpoint_url=settings.s3_endpoint_url,
        base_url=settings.s3_public_url,
        work_dir=settings.work_dir,
    )
