"""The slots of a provider's account: how many jobs it may have at once, over all processes on all machines.

A job holds a slot until it ends, is given back, or has its lease revoked, and while a provider that was busy is not to
be asked again. Where there is a limit, a message says no more than «look whether a slot is free»: who gets it is chosen
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, FromClause, Select, Table, and_, func, or_, select
from sqlalchemy.sql.functions import Function

from db.due import FAR, due
from db.jobs import in_hand, is_revoked
from db.session import Database, Transaction
from db.tables import account_limits, generation_requests
from events.clock import utc_now
from events.status import JobStatus

T = TypeVar("T")
REMEMBERED = timedelta(hours=1)
"""How far back it is looked who had his turn last."""
NEVER = datetime.min.replace(tzinfo=UTC)


async def keep_limits(database: Database, limits: Mapping[Table, int | None]) -> None:
    """Tell all processes how many jobs of each table the account may have at once; None for any number."""
    rows = [{"jobs": table.name, "max_concurrent": most} for table, most in limits.items()]
    async with database.transaction() as transaction:
        await transaction.upsert(account_limits, "max_concurrent", *rows)


def limit_of(table: Table) -> Select[tuple[int | None]]:
    return select(account_limits.c.max_concurrent).where(account_limits.c.jobs == table.name)


def holding(table: FromClause, now: datetime) -> ColumnElement[bool]:
    """True of the rows of jobs that hold a slot."""
    kept = and_(table.c.lease_expires_at > now, table.c.lease_expires_at <= now + FAR)
    return or_(in_hand(table), and_(table.c.status == JobStatus.PENDING, kept))


async def next_job(transaction: Transaction, table: Table, most: int) -> str | None:
    """The id of the job whose turn it is, if one of the `most` slots is free; others who ask wait for the transaction.

    A job whose worker is gone comes first, as the provider may be at it already. Then it is the turn of the user
    who has the fewest jobs in hand, of two such the one whose last turn is longer ago, and of that user's oldest job.
    """
    await transaction.execute(limit_of(table).with_for_update())
    now = utc_now()
    held = await _held_by_user(transaction, table, now)
    if sum(held.values()) >= most:
        return None
    revoked: str | None = await transaction.scalar(
        select(table.c.id).where(is_revoked(table)).order_by(table.c.lease_expires_at).limit(1)
    )
    if revoked is not None:
        return revoked
    oldest = await _oldest_by_user(transaction, table, now)
    if len(oldest) < 2:
        return next(iter(oldest.values()), None)
    last = await _last_turns(transaction, table, now, oldest)
    return oldest[min(oldest, key=lambda user: (held.get(user, 0), last.get(user, NEVER), oldest[user]))]


async def _held_by_user(transaction: Transaction, table: Table, now: datetime) -> dict[str, int]:
    return await _by_user(transaction, table, func.count(), holding(table, now))


async def _oldest_by_user(transaction: Transaction, table: Table, now: datetime) -> dict[str, str]:
    # Ids sort by time.
    return await _by_user(transaction, table, func.min(table.c.id), due(table, now))


async def _last_turns(
    transaction: Transaction, table: Table, now: datetime, users: Mapping[str, str]
) -> dict[str, datetime]:
    recent = generation_requests.c.updated_at >= now - REMEMBERED
    its = generation_requests.c.user_id.in_(users)
    had = table.c.started_at.is_not(None)
    return await _by_user(transaction, table, func.max(table.c.started_at), and_(its, recent, had))


async def _by_user(
    transaction: Transaction, table: Table, value: Function[T], condition: ColumnElement[bool]
) -> dict[str, T]:
    query = (
        select(generation_requests.c.user_id, value)
        .select_from(table)
        .join(generation_requests, generation_requests.c.id == table.c.request_id)
        .where(condition)
        .group_by(generation_requests.c.user_id)
    )
    return dict((await transaction.execute(query)).all())
