"""Files whose request is deleted: kept as a list until they are gone, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from db.session import Database
from db.tables import file_deletions
from events.clock import utc_now


async def prefixes_to_delete(database: Database) -> Sequence[str]:
    async with database.reading() as connection:
        return list(await connection.scalars(select(file_deletions.c.prefix).limit(100)))


async def forget_prefix(database: Database, prefix: str, keep_seconds: float) -> None:
    """The files are gone. A worker that has not noticed yet may write once more, so it stays for `keep_seconds`."""
    before = utc_now() - timedelta(seconds=keep_seconds)
    async with database.transaction() as transaction:
        await transaction.execute(
            delete(file_deletions).where(file_deletions.c.prefix == prefix, file_deletions.c.created_at <= before)
        )
