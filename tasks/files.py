"""Storing what was made, and deleting what nothing refers to any more, where the storage is away now and then."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import structlog

from db import files
from db.due import LONGEST_PAUSE_SECONDS
from storage import AlreadyStored, StorageUnavailable, Stored
from tasks.resources import Resources

STORE_TRIES = 3
AT_ONCE = 10
"""So many are deleted before it is asked again what there is."""

log = structlog.get_logger(__name__)


async def store(resources: Resources, key: str, source: Path | bytes, content_type: str) -> Stored:
    """Store a file, three times if need be: what it holds may have been paid for. Raises `StorageUnavailable`.

    The pauses are those before another attempt, RETRY_SECONDS and twice that.
    """
    failed = 0
    cause: StorageUnavailable | AlreadyStored | None = None
    while True:
        try:
            if failed:  # the storage may have it, and only its answer was lost, or half of it
                with suppress(StorageUnavailable):
                    await resources.storage.delete(key)
            return await resources.storage.put(key, source, content_type)
        except StorageUnavailable as error:
            cause = error
        except AlreadyStored as error:  # what an earlier try has left cannot be removed: that is not the cause
            cause = cause or error
        failed += 1
        if failed == STORE_TRIES:
            raise cause
        log.warning("a file could not be stored; it is tried again", error=str(cause))
        await asyncio.sleep(min(resources.settings.retry_seconds * 2 ** (failed - 1), LONGEST_PAUSE_SECONDS))


async def delete_prefix(resources: Resources, prefix: str) -> bool:
    """Delete the files whose keys begin with a prefix; False if that must be tried again."""
    try:
        await resources.storage.delete_prefix(prefix)
    except StorageUnavailable as error:
        log.warning("files could not be deleted; the sweeper tries again", prefix=prefix, error=str(error))
        return False
    return True


async def delete_left_over(resources: Resources) -> None:
    """Delete what was given up, once a worker that has not noticed yet writes no more: its lease is over."""
    while prefixes := await files.prefixes_to_delete(resources.database, 2 * resources.settings.lease_seconds):
        # Every process does so: some at random, so that they seldom meet.
        for prefix in random.sample(prefixes, min(AT_ONCE, len(prefixes))):
            if not await delete_prefix(resources, prefix):
                # To the end of the list: one that cannot be deleted is not to hold up the others.
                await files.note(resources.database, prefix)
                return
            await files.forget_prefix(resources.database, prefix)
