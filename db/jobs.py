"""What image and model jobs have in common: the claim with its lease, back-off, and their end.

A worker holds a job by the token of its claim. Every write carries it, so that a worker that was paused past its
lease, or whose request was cancelled or deleted meanwhile, changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, and_, bindparam, func, select, tuple_, update

from db.due import is_due
from db.files import claim_prefix, give_up
from db.log import lock_request
from db.records import Request, encode_failure
from db.session import Database, Transaction
from db.statements import Prepared
from db.tables import subject_of
from events.clock import utc_now
from events.outcome import Failure, FailureCode
from events.status import JobStatus

MAY_HAVE_STORED = {FailureCode.STORAGE_UNAVAILABLE, FailureCode.TIMED_OUT, FailureCode.INTERNAL}
"""The failures after which there may be files: storing them is an attempt's last step, and others come before it."""

NOT_SUBMITTED: Mapping[str, Any] = {"submit_begun_at": None, "provider_job_id": None, "submitted_at": None}
"""The columns of a job of which its provider knows nothing."""


BY_ID = "FORCE INDEX (PRIMARY)"
"""Jobs are locked so: by way of their status, it would wait for those of others, and against who ends his."""


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
    prefix: str
    """The prefix of this claim's files."""

    @property
    def held(self) -> ColumnElement[bool]:
        """True of the job's row for as long as this lease is good."""
        columns = self.table.c
        return and_(columns.id == self.job_id, columns.status == JobStatus.RUNNING, columns.lease_token == self.token)


class LeaseLost(Exception):
    """The lease was revoked, the job is cancelled, or gone: what was done for it is void."""


def new_job(job_id: str, request_id: str, max_attempts: int, now: datetime) -> dict[str, Any]:
    """The row of a job that is about to be sent, but for what it makes."""
    return {
        "id": job_id,
        "request_id": request_id,
        "status": JobStatus.PENDING,
        "attempts": 0,
        "max_attempts": max_attempts,
        "available_at": now,
        "sent_at": now,
        "created_at": now,
    }


UNCLAIMED: Mapping[str, Any] = dict.fromkeys(("started_at", "lease_token", "lease_expires_at", "deadline_at"))
"""The columns that the row of a claimed job has besides."""


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long a claim lasts unless it is renewed, and for how long its attempt may go on."""

    lease_seconds: float
    attempt_seconds: float


def take_new(table: Table, row: dict[str, Any], subject_id: str, terms: Terms) -> Lease:
    """Have the row of a new job be that of one that is claimed, as `take` does it. `subject_id` is what it makes."""
    now, token = row["created_at"], secrets.token_hex(16)
    deadline = now + timedelta(seconds=terms.attempt_seconds)
    prefix = claim_prefix(row["request_id"], subject_id, token)
    row |= {
        "status": JobStatus.RUNNING,
        "attempts": 1,
        "started_at": now,
        "lease_token": token,
        "lease_expires_at": now + timedelta(seconds=terms.lease_seconds),
        "deadline_at": deadline,
    }
    return Lease(table, row["id"], row["request_id"], token, 1, row["max_attempts"], deadline, prefix)


async def lock_request_of(transaction: Transaction, lease: Lease) -> Request:
    """Lock the request of a job in hand; raises `LeaseLost` if it is gone."""
    request = await lock_request(transaction, lease.request_id)
    if request is None:
        raise LeaseLost(lease.job_id)
    return request


def columns_to_take(table: Table) -> list[ColumnElement[Any]]:
    """What `take`, and whoever submits, needs of a job's row."""
    columns = table.c
    return [
        columns.id,
        columns.request_id,
        subject_of(table).label("subject_id"),
        columns.status,
        columns.attempts,
        columns.max_attempts,
        columns.failure,
        columns.available_at,
        columns.lease_token,
        columns.lease_expires_at,
        columns.deadline_at,
        columns.provider_job_id,
        columns.submit_begun_at,
    ]


async def take(transaction: Transaction, table: Table, rows: Sequence[Any], terms: Terms) -> dict[str, Lease]:
    """Claim those jobs that are due, or whose lease was revoked; returns the leases by the jobs' ids.

    The rows were read under the locks of their requests. A take-over goes on with the same attempt, and with the time
    that was left of it when the lease ran out.
    """
    now = utc_now()
    ready = [row for row in rows if is_due(row, now)]
    token, deadline = secrets.token_hex(16), now + timedelta(seconds=terms.attempt_seconds)
    leases = {row.id: _lease(table, row, token, row.attempts + 1, deadline) for row in ready}
    if ready:
        expires = now + timedelta(seconds=terms.lease_seconds)
        values = {"now": now, "token": token, "expires": expires, "deadline": deadline}
        # Nobody else claims, cancels or retries a job while its request is locked.
        transaction.write(_taking(table).bind({"job_ids": list(leases), **values}), len(leases))
    for row in rows:
        if row.status is JobStatus.RUNNING and row.lease_token is None:
            leases[row.id] = await _take_over(transaction, table, row, now, terms.lease_seconds)
    return leases


def _lease(table: Table, row: Any, token: str, attempt: int, deadline: datetime) -> Lease:
    prefix = claim_prefix(row.request_id, row.subject_id, token)
    return Lease(table, row.id, row.request_id, token, attempt, row.max_attempts, deadline, prefix)


@cache
def _taking(table: Table) -> Prepared:
    return Prepared(
        update(table)
        .where(table.c.id.in_(bindparam("job_ids", expanding=True)), table.c.status == JobStatus.PENDING)
        .values(
            status=JobStatus.RUNNING,
            attempts=table.c.attempts + 1,
            lease_token=bindparam("token"),
            lease_expires_at=bindparam("expires"),
            deadline_at=bindparam("deadline"),
            started_at=func.coalesce(table.c.started_at, bindparam("now", type_=table.c.started_at.type)),
        )
    )


async def _take_over(transaction: Transaction, table: Table, row: Any, now: datetime, lease_seconds: float) -> Lease:
    token, deadline = secrets.token_hex(16), now + (row.deadline_at - row.lease_expires_at)
    await transaction.execute(
        update(table)
        .where(table.c.id == row.id)
        .values(lease_token=token, lease_expires_at=now + timedelta(seconds=lease_seconds), deadline_at=deadline)
    )
    return _lease(table, row, token, row.attempts, deadline)


def in_hand(table: FromClause) -> ColumnElement[bool]:
    """True of the rows of jobs that a worker holds."""
    return and_(table.c.status == JobStatus.RUNNING, table.c.lease_token.is_not(None))


def is_revoked(table: FromClause) -> ColumnElement[bool]:
    """True of the rows of jobs that lost their worker, and are to be taken over."""
    return and_(table.c.status == JobStatus.RUNNING, table.c.lease_token.is_(None))


async def revoke(
    transaction: Transaction, table: Table, *conditions: ColumnElement[bool], **values: Any
) -> Sequence[str]:
    """End the leases of such jobs in hand, and write `values`; returns the jobs' ids. On a server, name jobs by ids."""
    columns = table.c
    query = (
        select(columns.id, columns.request_id, subject_of(table).label("subject_id"), columns.lease_token)
        .where(in_hand(table), *conditions)
        .order_by(columns.id)
        .with_hint(table, BY_ID, "mysql")
        .with_for_update()
    )
    rows = (await transaction.execute(query)).all()
    ids = [row.id for row in rows]
    if ids:
        await transaction.execute(update(table).where(columns.id.in_(ids)).values(lease_token=None, **values))
        await give_up(transaction, *(claim_prefix(row.request_id, row.subject_id, row.lease_token) for row in rows))
    return ids


async def renew(database: Database, lease: Lease, lease_seconds: float) -> None:
    """Keep the job for another `lease_seconds`; raises `LeaseLost`."""
    expires = utc_now() + timedelta(seconds=lease_seconds)
    await write(database, lease, lease_expires_at=expires)


async def back_off(database: Database, lease: Lease, failure: Failure, seconds: float, *, counts: bool) -> None:
    """Give the job back after an attempt failed, to be tried again in `seconds`; raises `LeaseLost`.

    `counts` is False where the provider was only busy: the attempt is not used up, and the job keeps its slot of the
    account meanwhile, so that the others do not ask in vain one after another.
    """
    again = utc_now() + timedelta(seconds=seconds)
    await write(
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
    await write(
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


async def begin_submit(database: Database, lease: Lease) -> None:
    """Note that the provider is about to be asked, so that a crash in between is seen; raises `LeaseLost`."""
    await write(database, lease, submit_begun_at=utc_now())


async def note_submitted(database: Database, lease: Lease, provider_job_id: str) -> None:
    """Keep the provider's id of the job: whoever has it next resumes polling. Raises `LeaseLost`."""
    await write(database, lease, provider_job_id=provider_job_id, submitted_at=utc_now())


async def forget_submit(database: Database, lease: Lease) -> None:
    """The provider refused, or its job is over: the next attempt submits anew. Raises `LeaseLost`."""
    await write(database, lease, **NOT_SUBMITTED)


async def end(transaction: Transaction, *leases: Lease, status: JobStatus, failure: Failure | None = None) -> None:
    """Write the end of jobs of one table; the transaction raises `LeaseLost` for any of them, and is given up."""
    values = {
        "held": [(lease.job_id, lease.token) for lease in leases],
        "job_ids": [lease.job_id for lease in leases],
        "end": status,
        "why": encode_failure(failure) if failure else None,
        "now": utc_now(),
    }
    lost = LeaseLost(", ".join(lease.job_id for lease in leases))
    transaction.write(_ending(leases[0].table).bind(values), len(leases), lost)
    if failure is not None and failure.code in MAY_HAVE_STORED:
        await give_up(transaction, *(lease.prefix for lease in leases))


@cache
def _ending(table: Table) -> Prepared:
    return Prepared(
        update(table)
        .where(
            # MySQL finds rows by the id alone, not by the pair.
            table.c.id.in_(bindparam("job_ids", expanding=True)),
            tuple_(table.c.id, table.c.lease_token).in_(bindparam("held", expanding=True)),
            table.c.status == JobStatus.RUNNING,
        )
        .values(
            status=bindparam("end"),
            failure=bindparam("why"),
            finished_at=bindparam("now"),
            lease_token=None,
            lease_expires_at=None,
        )
    )


async def cancel(transaction: Transaction, table: Table, request_id: str) -> None:
    """End every job of a request that is not ended yet."""
    # None ends, or begins, while the request is locked.
    going_on = select(table.c.id).where(
        table.c.request_id == request_id, table.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING))
    )
    ids = await transaction.scalars(going_on)
    if not ids:
        return
    await revoke(transaction, table, table.c.id.in_(ids))
    await transaction.execute(
        update(table)
        .where(table.c.id.in_(ids))
        .values(status=JobStatus.CANCELLED, finished_at=utc_now(), lease_expires_at=None)
    )


async def write(database: Database, lease: Lease, *, given_up: bool = False, **values: Any) -> None:
    """Write to a job in hand, and have its files deleted if they are given up; raises `LeaseLost`."""
    async with database.transaction() as transaction:
        result = await transaction.execute(update(lease.table).where(lease.held).values(values))
        if result.rowcount != 1:
            raise LeaseLost(lease.job_id)
        if given_up:
            await give_up(transaction, lease.prefix)
