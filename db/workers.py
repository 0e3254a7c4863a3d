"""Which workers live: each shows itself now and then."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from db.session import Database
from db.tables import workers
from events.clock import utc_now

LIVING_SECONDS = 20.0
"""A worker that has not shown itself for so long is not counted."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process and how many jobs of each queue it does at once."""

    id: str
    host: str
    image_slots: int
    model_slots: int


async def show(database: Database, worker_id: str, image_slots: int, model_slots: int) -> None:
    """Tell that a worker lives."""
    row = {
        "id": worker_id,
        "host": socket.gethostname()[:255],
        "image_slots": image_slots,
        "model_slots": model_slots,
        "seen_at": utc_now(),
    }
    async with database.transaction() as transaction:
        await transaction.upsert(workers, "seen_at", row)


async def leave(database: Database, worker_id: str) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(delete(workers).where(workers.c.id == worker_id))


async def living(database: Database) -> Sequence[Worker]:
    since = utc_now() - timedelta(seconds=LIVING_SECONDS)
    query = select(workers.c.id, workers.c.host, workers.c.image_slots, workers.c.model_slots).where(
        workers.c.seen_at >= since
    )
    async with database.reading() as connection:
        return [Worker(*row) for row in (await connection.execute(query)).all()]


async def forget_dead(database: Database, after_seconds: float) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(
            delete(workers).where(workers.c.seen_at < utc_now() - timedelta(seconds=after_seconds))
        )
