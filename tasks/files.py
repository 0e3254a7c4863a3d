"""Deleting files that nothing refers to any more, at once and, where that fails, until it is done."""

from __future__ import annotations

import random

import structlog

from db import files
from storage import StorageUnavailable
from tasks.resources import Resources

AT_ONCE = 10
"""So many are deleted before it is asked again what there is."""

log = structlog.get_logger(__name__)


async def delete_folder(resources: Resources, prefix: str) -> bool:
    """Delete what is stored below a prefix; False if that must be tried again."""
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
            if not await delete_folder(resources, prefix):
                # To the end of the list: one that cannot be deleted is not to hold up the others.
                await files.note(resources.database, prefix)
                return
            await files.forget_prefix(resources.database, prefix)
