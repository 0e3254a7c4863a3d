"""What image and model jobs have in common: the claim with its lease, back-off, and finding what was lost.

A worker holds a job by the token of its claim. Every write carries it, so that a worker that was paused past its
lease, or whose request was cancelled or deleted meanwhile, changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, func, or_, select, update

from db import slots
from db.due import come, due, has_come, is_due
from db.files import claim_folder, give_up
from db.records import encode_failure
from db.session import Database, Transaction
from events.clock import utc_now
from events.outcome import Failure, FailureCode
from events.status import JobStatus

SWEEP_LIMIT = 500
MAY_HAVE_STORED = {FailureCode.STORAGE_UNAVAILABLE, FailureCode.TIMED_OUT, FailureCode.INTERNAL}
"""The failures after which there may be files: storing them is an attempt's last step, and others come before it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A job in hand. `deadline_at` is when the attempt has taken too long."""

    table: Table = field(repr=False)
    job_id: str
    request_id: str
    token: str
    attempt: int
    max_attempts: int
    deadline_at: datetime
    folder: str
    """The prefix of this claim's files."""

    @property
    def held(self) -> ColumnElement[bool]:
        """True of the job's row for as long as this lease is good."""
        columns = self.table.c
        return and_(columns.id == self.job_id, columns.status == JobStatus.RUNNING, columns.lease_token == self.token)


class LeaseLost(Exception):
    """The job is somebody else's by now, cancelled, or gone: what was done for it is void."""


async def take(
    transaction: Transaction, table: Table, row: Any, subject_id: str, lease_seconds: float, seconds: float
) -> Lease | None:
    """Claim the job of `row` if it is due, or if the worker that had it went silent; None if it is neither.

    A take-over goes on with the same attempt, and with the time that was left of it when its worker fell silent.
    """
    now = utc_now()
    begins = is_due(row, now)
    silent = row.status is JobStatus.RUNNING and has_come(row.lease_expires_at, now)
    if not (begins or silent):
        return None
    attempt = row.attempts + 1 if begins else row.attempts
    deadline = now + (timedelta(seconds=seconds) if begins else row.deadline_at - row.lease_expires_at)
    token = secrets.token_hex(16)
    result = await transaction.execute(
        update(table)
        .where(
            table.c.id == row.id,
            # Renewing, backing off and giving back do not wait for the request's lock.
            table.c.status == row.status,
            table.c.available_at == row.available_at,
            table.c.lease_token.is_not_distinct_from(row.lease_token),
            table.c.lease_expires_at.is_not_distinct_from(row.lease_expires_at),
        )
        .values(
            status=JobStatus.RUNNING,
            attempts=attempt,
            lease_token=token,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            deadline_at=deadline,
            started_at=row.started_at or now,
        )
    )
    if result.rowcount != 1:
        return None
    if row.lease_token is not None:
        await give_up(transaction, claim_folder(row.request_id, subject_id, row.lease_token))
    folder = claim_folder(row.request_id, subject_id, token)
    return Lease(table, row.id, row.request_id, token, attempt, row.max_attempts, deadline, folder)


async def renew(database: Database, lease: Lease, lease_seconds: float) -> None:
    """Keep the job for another `lease_seconds`; raises `LeaseLost`."""
    expires = utc_now() + timedelta(seconds=lease_seconds)
    await _write(database, lease, lease_expires_at=expires)


async def back_off(database: Database, lease: Lease, failure: Failure, seconds: float, *, counts: bool) -> None:
    """Give the job back after an attempt failed, to be tried again in `seconds`; raises `LeaseLost`.

    `counts` is False where the provider was only busy: the attempt is not used up, and the job keeps its slot of the
    account meanwhile, so that the others do not ask in vain one after another.
    """
    again = utc_now() + timedelta(seconds=seconds)
    await _write(
        database,
        lease,
        given_up=failure.code in MAY_HAVE_STORED,
        status=JobStatus.PENDING,
        attempts=lease.attempt if counts else lease.attempt - 1,
        failure=encode_failure(failure),
        available_at=again,
        sent_at=again,
        lease_token=None,
        lease_expires_at=None if counts else again,
    )


async def give_back(database: Database, lease: Lease) -> None:
    """Give the job back undone, because this worker stops; raises `LeaseLost`. The next sweep sends it."""
    await _write(
        database,
        lease,
        given_up=True,
        status=JobStatus.PENDING,
        attempts=lease.attempt - 1,
        available_at=utc_now(),
        sent_at=None,
        lease_token=None,
        lease_expires_at=None,
    )


async def end(transaction: Transaction, lease: Lease, status: JobStatus, failure: Failure | None = None) -> None:
    """Write the job's end; raises `LeaseLost`, and the transaction is to be given up."""
    result = await transaction.execute(
        update(lease.table)
        .where(lease.held)
        .values(
            status=status,
            failure=encode_failure(failure) if failure else None,
            finished_at=utc_now(),
            lease_token=None,
            lease_expires_at=None,
        )
    )
    if result.rowcount != 1:
        raise LeaseLost(lease.job_id)
    if failure is not None and failure.code in MAY_HAVE_STORED:
        await give_up(transaction, lease.folder)


async def cancel(transaction: Transaction, table: Table, subject: Column[str], request_id: str) -> None:
    """End every job of a request that is not ended yet. `subject` is the column of what the job makes."""
    in_hand = await transaction.execute(
        select(subject, table.c.lease_token).where(
            table.c.request_id == request_id, table.c.status == JobStatus.RUNNING, table.c.lease_token.is_not(None)
        )
    )
    await give_up(transaction, *(claim_folder(request_id, subject_id, token) for subject_id, token in in_hand))
    await transaction.execute(
        update(table)
        .where(table.c.request_id == request_id, table.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING)))
        .values(status=JobStatus.CANCELLED, finished_at=utc_now(), lease_token=None, lease_expires_at=None)
    )


async def _write(database: Database, lease: Lease, *, given_up: bool = False, **values: Any) -> None:
    async with database.transaction() as transaction:
        result = await transaction.execute(update(lease.table).where(lease.held).values(values))
        if result.rowcount != 1:
            raise LeaseLost(lease.job_id)
        if given_up:
            await give_up(transaction, lease.folder)


def _unsent(table: Table, now: datetime) -> ColumnElement[bool]:
    """Jobs that are due and for which there is no message."""
    return and_(due(table, now), table.c.sent_at.is_(None))


def _waiting(table: Table, now: datetime, grace: timedelta) -> ColumnElement[bool]:
    """Jobs that are due and whose message should have been worked on by now."""
    return and_(due(table, now), come(table.c.sent_at, now - grace))


def _silent(table: Table, now: datetime, grace: timedelta) -> ColumnElement[bool]:
    """Jobs whose worker went silent, and for which nobody has sent a message since."""
    return and_(
        table.c.status == JobStatus.RUNNING,
        come(table.c.lease_expires_at, now),
        or_(table.c.sent_at.is_(None), come(table.c.sent_at, now - grace), table.c.sent_at <= table.c.lease_expires_at),
    )


async def sweep(database: Database, table: Table, queued: int, grace_seconds: float) -> Sequence[str]:
    """Find the jobs that nobody will do unless they are sent again, and mark them as sent.

    `queued` is how many messages the queue holds: as many of the jobs that were sent have theirs, and only the rest,
    oldest first, have lost it. Where the account has a limit, no more are found than it has slots free: the others
    wait for these. Of two processes that sweep at once, each job is found by one.
    """
    now, grace = utc_now(), timedelta(seconds=grace_seconds)
    sent = and_(due(table, now), table.c.sent_at.is_not(None))
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
    room = SWEEP_LIMIT if most is None else max(0, most - held)
    found: list[str] = []
    for condition, limit in (
        (_waiting(table, now, grace), min(count - queued, room)),
        (_unsent(table, now), room),
        (_silent(table, now, grace), SWEEP_LIMIT),
    ):
        found += await _mark_sent(database, table, condition, limit, now)
    return found


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


async def _mark_sent(
    database: Database, table: Table, condition: ColumnElement[bool], limit: int, now: datetime
) -> list[str]:
    """Mark up to `limit` jobs as sent, oldest first; returns those that no other process has marked meanwhile."""
    if limit <= 0:
        return []
    async with database.reading() as connection:
        ids = list(
            await connection.scalars(select(table.c.id).where(condition).order_by(table.c.available_at).limit(limit))
        )
    if not ids:
        return []
    async with database.transaction() as transaction:
        found = list(
            await transaction.connection.scalars(
                select(table.c.id).where(table.c.id.in_(ids), condition).order_by(table.c.id).with_for_update()
            )
        )
        if found:
            await transaction.execute(update(table).where(table.c.id.in_(found)).values(sent_at=now))
    return found
