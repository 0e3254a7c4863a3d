"""Finding the jobs that nobody will do unless they are sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, func, or_, select, update

from db import slots
from db.due import come, due
from db.jobs import BY_ID, in_hand, is_revoked, revoke
from db.session import Database
from db.tables import sweeps
from events.clock import utc_now
from events.status import JobStatus

LIMIT = 500
"""So many jobs are found at a time of each kind."""


async def recover(
    database: Database, table: Table, queued: int, grace_seconds: float, silent_by: datetime | None
) -> Sequence[str]:
    """The ids of the jobs that nobody will do unless they are sent again; they are marked as sent.

    A job whose lease ran out by `silent_by` has lost its worker: its lease is revoked. With None, none is.

    `queued` is how many messages the queue holds: as many of the jobs that were sent have theirs, and only the rest,
    oldest first, have lost it, once `grace_seconds` have passed since they were sent. Where the account has a limit, no
    more of these, and of those that were never sent, are found than it has slots free: the others wait for them. Of two
    processes that sweep at once, each job is found by one.
    """
    now, grace = utc_now(), timedelta(seconds=grace_seconds)
    sent = and_(_waits(table, now), table.c.sent_at.is_not(None))
    async with database.reading() as connection:
        count, most, held = (
            await connection.execute(
                select(
                    select(func.count()).select_from(table).where(sent).scalar_subquery(),
                    slots.limit_of(table).scalar_subquery(),
                    select(func.count()).select_from(table).where(slots.holding(table, now)).scalar_subquery(),
                )
            )
        ).one()
    room = LIMIT if most is None else max(0, most - held)
    found: list[str] = []
    for condition, limit in (
        (_overdue(table, now, grace), min(count - queued, room)),
        (_unsent(table, now), room),
    ):
        found += await _mark_sent(database, table, condition, limit, now)
    if silent_by is not None:
        found += await _revoke(database, table, silent_by, now)
    return found


async def note_look(database: Database, table: Table) -> None:
    """Note that the jobs of a table are looked over; raises, or waits, where the database takes no writes."""
    async with database.transaction() as transaction:
        await transaction.upsert(sweeps, "looked_at", {"jobs": table.name, "looked_at": utc_now()})


async def count_stuck(database: Database, table: Table, seconds: float) -> int:
    """Jobs that should have been in hand for so long, and are not. To wait for a slot of the account is fine."""
    now = utc_now()
    before = now - timedelta(seconds=seconds)
    most = slots.limit_of(table).scalar_subquery()
    others = table.alias()
    held = select(func.count()).select_from(others).where(slots.holding(others, now)).scalar_subquery()
    stuck = or_(
        and_(table.c.status == JobStatus.PENDING, table.c.available_at <= before, or_(most.is_(None), held < most)),
        and_(table.c.status == JobStatus.RUNNING, table.c.lease_expires_at <= before),
    )
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(table).where(stuck)) or 0


def _waits(table: Table, now: datetime) -> ColumnElement[bool]:
    """Jobs that wait for a worker: they are due, or have lost theirs."""
    return or_(due(table, now), is_revoked(table))


def _unsent(table: Table, now: datetime) -> ColumnElement[bool]:
    """Jobs that wait and for which there is no message."""
    return and_(_waits(table, now), table.c.sent_at.is_(None))


def _overdue(table: Table, now: datetime, grace: timedelta) -> ColumnElement[bool]:
    """Jobs that wait and whose message should have been worked on by now."""
    return and_(_waits(table, now), come(table.c.sent_at, now - grace))


async def _revoke(database: Database, table: Table, by: datetime, now: datetime) -> Sequence[str]:
    """Revoke the leases that ran out by then, the oldest first, and mark their jobs as sent."""
    columns = table.c
    silent = and_(in_hand(table), come(columns.lease_expires_at, by))
    ids = await _first(database, table, silent, columns.lease_expires_at, LIMIT)
    if not ids:
        return []
    async with database.transaction() as transaction:
        return await revoke(transaction, table, columns.id.in_(ids), silent, sent_at=now)


async def _mark_sent(
    database: Database, table: Table, condition: ColumnElement[bool], limit: int, now: datetime
) -> list[str]:
    """Mark up to `limit` jobs as sent, oldest first; returns those that no other process has marked meanwhile."""
    if limit <= 0:
        return []
    ids = await _first(database, table, condition, table.c.available_at, limit)
    if not ids:
        return []
    async with database.transaction() as transaction:
        query = select(table.c.id).where(table.c.id.in_(ids), condition).order_by(table.c.id)
        found = await transaction.scalars(query.with_hint(table, BY_ID, "mysql").with_for_update())
        if found:
            await transaction.execute(update(table).where(table.c.id.in_(found)).values(sent_at=now))
    return found


async def _first(
    database: Database, table: Table, condition: ColumnElement[bool], order: ColumnElement[datetime], limit: int
) -> Sequence[str]:
    """The ids of the first such jobs. They are not locked: who writes to them looks again."""
    query = select(table.c.id).where(condition).order_by(order).limit(limit)
    async with database.reading() as connection:
        return (await connection.scalars(query)).all()
