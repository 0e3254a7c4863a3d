"""The event log: rows numbered per request without a gap, written under the lock of the request's row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, Table, insert, select, update

from db.records import Request, columns_of
from db.session import Database, Transaction
from db.tables import events, generation_requests
from events.clock import utc_now
from events.status import REQUEST_MOVES, RequestStatus
from events.types import EventData, RequestEvent, TaskUpdated, decode_data, encode_data

PAGE = 200
REQUEST_COLUMNS = columns_of(Request, generation_requests)


class IllegalMove(Exception):
    """A verb tried a move that the table of legal moves does not have: a fault of the program."""


async def lock_request(transaction: Transaction, request_id: str | ScalarSelect[str]) -> Request | None:
    """Take the lock of a request's row until the transaction ends. Every verb takes it before any other lock."""
    row = (
        await transaction.execute(
            select(*REQUEST_COLUMNS).where(generation_requests.c.id == request_id).with_for_update()
        )
    ).first()
    return None if row is None else Request(*row)


async def lock_request_of_job(transaction: Transaction, jobs: Table, job_id: str) -> Request | None:
    """The same for the request of a job. What is read of the job before it may be out of date when it is there."""
    return await lock_request(transaction, select(jobs.c.request_id).where(jobs.c.id == job_id).scalar_subquery())


async def append(
    transaction: Transaction,
    request: Request,
    *data: EventData,
    status: RequestStatus | None = None,
    selected_image_index: int | None = None,
) -> Request:
    """Append events to a locked request, and move its status with them if one is given."""
    changes: dict[str, Any] = {"updated_at": utc_now()}
    if status is not None and status is not request.status:
        if status not in REQUEST_MOVES[request.status]:
            raise IllegalMove(f"request {request.id}: {request.status} to {status}")
        changes["status"] = status
    if selected_image_index is not None:
        changes["selected_image_index"] = selected_image_index
    if data:
        changes["last_event_sequence"] = request.last_event_sequence + len(data)
        told = [
            RequestEvent(request.id, request.user_id, request.last_event_sequence + number, changes["updated_at"], item)
            for number, item in enumerate(data, start=1)
        ]
        await transaction.execute(
            insert(events),
            [
                {
                    "request_id": event.request_id,
                    "sequence": event.sequence,
                    "data": encode_data(event.data),
                    "occurred_at": event.occurred_at,
                }
                for event in told
            ],
        )
        transaction.told += told
    result = await transaction.execute(
        update(generation_requests)
        .where(generation_requests.c.id == request.id, generation_requests.c.status == request.status)
        .values(changes)
    )
    if result.rowcount != 1:
        raise IllegalMove(f"request {request.id} was not {request.status} under its own lock")
    return replace(request, **changes)


def task_updated(status: RequestStatus) -> TaskUpdated:
    return TaskUpdated(status, status.phase)


async def read_events(database: Database, request_id: str, after: int, limit: int = PAGE) -> list[RequestEvent]:
    """The events of a request after a sequence, oldest first, at most `limit` of them."""
    query = (
        select(generation_requests.c.user_id, events.c.sequence, events.c.occurred_at, events.c.data)
        .join(generation_requests, generation_requests.c.id == events.c.request_id)
        .where(events.c.request_id == request_id, events.c.sequence > after)
        .order_by(events.c.sequence)
        .limit(limit)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(query)).all()
    return [
        RequestEvent(request_id, user_id, sequence, occurred_at, decode_data(data))
        for user_id, sequence, occurred_at, data in rows
    ]


class Heads:
    """How far the rows are, for the bus to find streams that missed a broadcast."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heads(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        return await self._read(generation_requests.c.id.in_(request_ids))

    async def user_heads(self, user_id: str, since: datetime) -> Mapping[str, int]:
        return await self._read(generation_requests.c.user_id == user_id, generation_requests.c.updated_at >= since)

    async def _read(self, *conditions: Any) -> Mapping[str, int]:
        query = select(generation_requests.c.id, generation_requests.c.last_event_sequence).where(*conditions)
        async with self._database.reading() as connection:
            return dict((await connection.execute(query)).all())
