"""The two queues of jobs, as the rows have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Table, func, select

from db.session import Database
from db.tables import image_generation_jobs, model_generation_jobs
from db.workers import living
from events.clock import utc_now
from events.status import JobStatus

IMAGES = "images"
MODELS = "models"
JOBS: Mapping[str, Table] = {IMAGES: image_generation_jobs, MODELS: model_generation_jobs}


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many jobs are due, under way, due later, and failed for good; how many of them `workers` do at once."""

    name: str
    waiting: int
    running: int
    delayed: int
    dead: int
    concurrency: int
    workers: int


async def queue_states(database: Database) -> list[QueueState]:
    workers = await living(database)
    found = []
    for name, slots in (
        (IMAGES, [worker.image_slots for worker in workers if worker.image_slots]),
        (MODELS, [worker.model_slots for worker in workers if worker.model_slots]),
    ):
        counts = await _counts(database, JOBS[name])
        found.append(
            QueueState(
                name,
                waiting=counts[JobStatus.PENDING, False],
                running=counts[JobStatus.RUNNING, False],
                delayed=counts[JobStatus.PENDING, True],
                dead=counts[JobStatus.FAILED, False],
                concurrency=sum(slots),
                workers=len(slots),
            )
        )
    return found


async def _counts(database: Database, table: Table) -> Mapping[tuple[JobStatus, bool], int]:
    """Jobs by their status, and whether they are pending for later."""
    later = table.c.available_at > utc_now()
    query = (
        select(table.c.status, later.label("later"), func.count())
        .where(table.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FAILED)))
        .group_by(table.c.status, later)
    )
    counts: defaultdict[tuple[JobStatus, bool], int] = defaultdict(int)
    async with database.reading() as connection:
        for status, is_later, count in (await connection.execute(query)).all():
            counts[status, bool(is_later) and status is JobStatus.PENDING] += count
    return counts
