"""The folders below WORK_DIR in which attempts keep files while they last, and what killed workers leave there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from storage import StorageUnavailable

PREFIX = "model-"
# The storage's downloads lie here as well.
LEFT = (f"{PREFIX}*", "download-*")
KEPT_SECONDS = 24 * 3600
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}

log = structlog.get_logger(__name__)


@asynccontextmanager
async def scratch(work_dir: Path) -> AsyncIterator[Path]:
    """A folder for the files of one attempt. Raises `StorageUnavailable`, also where the disk fills up meanwhile."""
    folder = None
    try:
        folder = await asyncio.to_thread(_make, work_dir)
        yield folder
    except OSError as error:
        # Of others, such as a connection's, nothing is known here.
        if folder is not None and error.errno not in DISK_ERRORS:
            raise
        raise StorageUnavailable(f"WORK_DIR cannot be written to: {error.strerror}. Make room or mend it.") from error
    finally:
        if folder is not None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def remove_left(work_dir: Path) -> None:
    """Remove what workers that were killed have left, when it is a day old: others may be at work beside this one."""
    await asyncio.to_thread(_remove_left, work_dir)


def _make(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))


def _remove_left(work_dir: Path) -> None:
    before = time.time() - KEPT_SECONDS
    for pattern in LEFT:
        for left in work_dir.glob(pattern):
            # Another worker that starts may be first.
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < before:
                    shutil.rmtree(left, ignore_errors=True)
                    log.info("removed what a killed worker has left", folder=left.name)
