"""The event log: rows numbered per request without a gap, written under the lock of the request's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import SmallInteger, Table, bindparam, func, insert, select, update

from db.records import Request, RequestHead, columns_of
from db.session import Database, Transaction
from db.statements import Prepared
from db.tables import events, generation_requests
from events.clock import utc_now
from events.hub import Head
from events.status import REQUEST_MOVES, IllegalMove, RequestStatus, check_move
from events.types import EventData, RequestEvent, TaskUpdated, decode_data, encode_data

PAGE = 200
REQUEST_COLUMNS = columns_of(Request, generation_requests)


_INSERT = Prepared(insert(events))
_MOVE = Prepared(
    update(generation_requests)
    .where(
        generation_requests.c.id.in_(bindparam("request_ids", expanding=True)),
        generation_requests.c.status == bindparam("old_status"),
    )
    .values(
        status=bindparam("new_status"),
        selected_image_index=func.coalesce(
            bindparam("selected", type_=SmallInteger), generation_requests.c.selected_image_index
        ),
        # Of what was appended just before, so that one statement serves requests that were told different numbers.
        last_event_sequence=select(func.max(events.c.sequence))
        .where(events.c.request_id == generation_requests.c.id)
        .scalar_subquery(),
        updated_at=bindparam("now"),
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a transaction tells of a locked request, in order, and the status to which it moves, if it does."""

    request: RequestHead
    data: Sequence[EventData]
    status: RequestStatus | None = None
    selected_image_index: int | None = None


async def lock_request(transaction: Transaction, request_id: str) -> Request | None:
    """Take the lock of a request's row until the transaction ends. Verbs that wait take their locks in one
    order, so that they cannot deadlock: an account's limit, the request, the user, the jobs, these by their ids.
    """
    rows = await transaction.read(_LOCK.bind({"request_id": request_id}))
    return Request(*rows[0]) if rows else None


async def lock_request_of_job(transaction: Transaction, jobs: Table, job_id: str) -> Request | None:
    """The same for the request of a job. What is read of the job before may be out of date when the lock is there."""
    rows = await transaction.read(_lock_of_job(jobs).bind({"job_id": job_id}))
    return Request(*rows[0]) if rows else None


def _locking(request_id: Any) -> Prepared:
    return Prepared(select(*REQUEST_COLUMNS).where(generation_requests.c.id == request_id).with_for_update())


_LOCK = _locking(bindparam("request_id"))


@cache
def _lock_of_job(jobs: Table) -> Prepared:
    return _locking(select(jobs.c.request_id).where(jobs.c.id == bindparam("job_id")).scalar_subquery())


def append(
    transaction: Transaction,
    request: Request,
    *data: EventData,
    status: RequestStatus | None = None,
    selected_image_index: int | None = None,
) -> Request:
    """Append events to a locked request, and move its status with them if one is given; returns it as it is then."""
    now = append_all(transaction, [Entry(request, data, status, selected_image_index)])
    return replace(
        request,
        status=status or request.status,
        selected_image_index=request.selected_image_index if selected_image_index is None else selected_image_index,
        last_event_sequence=request.last_event_sequence + len(data),
        updated_at=now,
    )


def append_all(transaction: Transaction, entries: Sequence[Entry]) -> datetime:
    """The same for several requests, each of them once; returns when it happened."""
    now = utc_now()
    write_events(transaction, entries, now)
    alike: defaultdict[tuple[RequestStatus, RequestStatus, int | None], list[str]] = defaultdict(list)
    for entry in entries:
        old, new = entry.request.status, entry.status or entry.request.status
        if new is not old:
            check_move(REQUEST_MOVES, old, new, entry.request.id)
        alike[old, new, entry.selected_image_index].append(entry.request.id)
    for (old, new, selected), request_ids in alike.items():
        transaction.write(
            _MOVE.bind(
                {"request_ids": request_ids, "old_status": old, "new_status": new, "selected": selected, "now": now}
            ),
            len(request_ids),
            IllegalMove(f"not all of {request_ids} were {old} under their own locks"),
        )
    return now


def write_events(transaction: Transaction, entries: Sequence[Entry], now: datetime) -> None:
    """Write only the events: the same transaction is to move the requests, and to have them count."""
    told = [
        RequestEvent(entry.request.id, entry.request.user_id, sequence, now, data)
        for entry in entries
        for sequence, data in enumerate(entry.data, start=entry.request.last_event_sequence + 1)
    ]
    rows = [
        {
            "request_id": event.request_id,
            "sequence": event.sequence,
            "data": encode_data(event.data),
            "occurred_at": now,
        }
        for event in told
    ]
    transaction.told += told
    transaction.write(_INSERT.bind(*rows))


def task_updated(status: RequestStatus) -> TaskUpdated:
    return TaskUpdated(status, status.phase)


_EVENTS_AFTER = Prepared(
    select(generation_requests.c.user_id, events.c.sequence, events.c.occurred_at, events.c.data)
    .join(generation_requests, generation_requests.c.id == events.c.request_id)
    .where(events.c.request_id == bindparam("request_id"), events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("limit"))
)


async def read_events(database: Database, request_id: str, after: int, limit: int = PAGE) -> list[RequestEvent]:
    """The events of a request after a sequence, oldest first, at most `limit` of them."""
    rows = await database.read(_EVENTS_AFTER.bind({"request_id": request_id, "after": after, "limit": limit}))
    return [
        RequestEvent(request_id, user_id, sequence, occurred_at, decode_data(data))
        for user_id, sequence, occurred_at, data in rows
    ]


class RowHeads:
    """How far the rows are, for the bus to find streams that missed a broadcast."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def heads(self, request_ids: Sequence[str]) -> Mapping[str, Head]:
        rows = await self._read(generation_requests.c.id.in_(request_ids))
        return {row.id: Head(row.last_event_sequence, row.updated_at) for row in rows}

    async def user_heads(self, user_ids: Sequence[str], since: datetime) -> Mapping[str, Mapping[str, Head]]:
        columns = generation_requests.c
        found: defaultdict[str, dict[str, Head]] = defaultdict(dict)
        for row in await self._read(columns.user_id.in_(user_ids), columns.updated_at >= since):
            found[row.user_id][row.id] = Head(row.last_event_sequence, row.updated_at)
        return found

    async def _read(self, *conditions: Any) -> Sequence[Any]:
        columns = generation_requests.c
        query = select(columns.id, columns.user_id, columns.last_event_sequence, columns.updated_at).where(*conditions)
        async with self._database.reading() as connection:
            return (await connection.execute(query)).all()
