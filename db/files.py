"""Files that nothing refers to any more: kept as a list until they are gone, whatever happens meanwhile.

What a claim stores has a prefix of its own. When the claim comes to nothing, its prefix is noted in the transaction
that ends it, so that the files go although the worker, or the storage, is gone at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from db.session import Database, Transaction
from db.tables import file_deletions
from events.clock import utc_now


def request_prefix(request_id: str) -> str:
    """The prefix under which all files of a request are stored."""
    return f"requests/{request_id}/"


def claim_prefix(request_id: str, subject_id: str, token: str) -> str:
    """The prefix of one claim's files, as no other claim has it. `subject_id` is the image's or the model's.

    What makes one file gives it an extension, what makes several a folder: each folder costs a disk as much as a file.
    """
    return f"{request_prefix(request_id)}{subject_id}-{token}"


async def give_up(transaction: Transaction, *prefixes: str) -> None:
    """Have the files whose keys begin with these prefixes deleted."""
    if prefixes:
        now = utc_now()
        # An attempt whose worker was stopped may have noted its own.
        rows = [{"prefix": prefix, "created_at": now} for prefix in sorted(prefixes)]
        await transaction.upsert(file_deletions, "created_at", *rows)


async def note(database: Database, prefix: str) -> None:
    """Have the files whose keys begin with a prefix deleted, whether that was wanted before or not."""
    async with database.transaction() as transaction:
        await transaction.upsert(file_deletions, "created_at", {"prefix": prefix, "created_at": utc_now()})


async def prefixes_to_delete(database: Database, age_seconds: float) -> Sequence[str]:
    """Some of those that were given up so long ago."""
    before = utc_now() - timedelta(seconds=age_seconds)
    query = (
        select(file_deletions.c.prefix)
        .where(file_deletions.c.created_at <= before)
        .order_by(file_deletions.c.created_at)
        .limit(100)
    )
    async with database.reading() as connection:
        return list(await connection.scalars(query))


async def forget_prefix(database: Database, prefix: str) -> None:
    """The files are gone."""
    async with database.transaction() as transaction:
        await transaction.execute(delete(file_deletions).where(file_deletions.c.prefix == prefix))
