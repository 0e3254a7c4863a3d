"""Whose jobs are in hand where processes share a SQLite file: those of a killed one are due as soon as it is known."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto

import structlog
from sqlalchemy import case

from db.jobs import revoke
from db.queues import JOBS
from db.session import Database, is_unavailable
from events.clock import utc_now

log = structlog.get_logger(__name__)


class Others(Enum):
    """Whether other processes are at the same database."""

    NONE = auto()
    SOME = auto()
    UNKNOWN = auto()


@asynccontextmanager
async def present(database: Database) -> AsyncIterator[Others]:
    """Say that a process is there while the block runs. If no other is, the leases that there are end now.

    The system keeps the lock of the file beside the database, and lets go of it whichever way a process ends. On a
    server's database, processes cannot know of each other: there, leases end in their time.
    """
    if database.path is None:
        yield Others.UNKNOWN
        return
    with database.path.with_name(f"{database.path.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            others = Others.SOME
        else:
            others = Others.NONE if await _end_leases(database) else Others.UNKNOWN
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_SH)
        yield others


async def _end_leases(database: Database) -> bool:
    try:
        await _revoke_all(database)
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("the leases of a killed process were not ended; they run out", error=str(error))
        return False
    return True


async def _revoke_all(database: Database) -> None:
    now = utc_now()
    async with database.transaction() as transaction:
        for table in JOBS.values():
            ends = table.c.lease_expires_at
            # What time an attempt has left is reckoned from the end of its lease.
            ended = case((ends > now, now), else_=ends)
            # No message is waited for: the first sweep sends one.
            await revoke(transaction, table, sent_at=None, lease_expires_at=ended)
