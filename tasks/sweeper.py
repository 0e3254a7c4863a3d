"""Making good what was lost: jobs whose message or worker is gone, files that nobody deleted. Runs in every process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from dramatiq import Actor

from db import lost
from db.presence import Others, present
from db.queues import JOBS
from events.clock import utc_now
from tasks import actors
from tasks.attempt import RENEWALS_PER_LEASE, patience_seconds
from tasks.broker import QueueUnavailable
from tasks.files import delete_left_over
from tasks.resources import Resources

SPREAD = 0.2
"""Many processes sweep: their pauses are so much shorter or longer than SWEEP_SECONDS, that they do not keep step."""
LATE_PER_LEASE = 0.1
"""A look that comes later than it was meant to by so much of a lease says that something stood still."""
STALL_PER_LEASE = 2 / 3
"""A standstill of so much of a lease may have ended one that was renewed in time."""

log = structlog.get_logger(__name__)


class FailureDetector:
    """When a lease that ran out tells that its worker is gone.

    Just after the database, Redis, this machine or the clock stood still or leapt, it tells nothing: whoever lives may
    not have been able to renew its leases, and is to do so first. With `waits_at_first`, as where others may be at the
    database, it tells nothing when a process begins, either.
    """

    def __init__(
        self,
        lease_seconds: float,
        sweep_seconds: float,
        *,
        waits_at_first: bool,
        utc_now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._utc_now, self._monotonic = utc_now, monotonic
        self._renewed_in = lease_seconds / RENEWALS_PER_LEASE + patience_seconds(lease_seconds)
        self._late = timedelta(seconds=(1 + SPREAD) * sweep_seconds + LATE_PER_LEASE * lease_seconds)
        self._too_late = max(self._late, timedelta(seconds=STALL_PER_LEASE * lease_seconds))
        self._looked_at = utc_now()
        self._trusted_from: float | None = monotonic() + self._renewed_in if waits_at_first else None

    @contextmanager
    def look(self) -> Iterator[datetime | None]:
        """Look at the database in the block, which raises where it is away.

        Gives the moment by which a lease must have run out, or None where that would tell nothing.
        """
        now, moment = self._monotonic(), self._utc_now()
        passed = abs(moment - self._looked_at)
        # Where every look is somewhat late, it is not waited for ever.
        if passed > self._too_late or (passed > self._late and self._trusted_from is None):
            self._trusted_from = now + self._renewed_in
        tells = self._trusted_from is None or now >= self._trusted_from
        yield moment if tells else None
        self._looked_at = moment
        if tells:
            self._trusted_from = None


@asynccontextmanager
async def sweeping(resources: Resources) -> AsyncIterator[None]:
    """Sweep at once, then every SWEEP_SECONDS, while the block runs."""
    settings = resources.settings
    async with present(resources.database) as others:
        if others is Others.SOME and settings.redis_url is None:
            log.warning(
                "another process works on the same SQLite file: each sees seconds later what the other does; "
                "set REDIS_URL for both, or stop one"
            )
        new_detector = partial(
            FailureDetector, settings.lease_seconds, settings.sweep_seconds, waits_at_first=others is not Others.NONE
        )
        # Each apart: what is slow, or fails, is not to hold up the others.
        steps: list[Callable[[float], Awaitable[None]]] = [
            partial(sweep_jobs, resources, actors.generate_image, new_detector()),
            partial(sweep_jobs, resources, actors.generate_model, new_detector()),
            lambda _: delete_left_over(resources),
        ]
        tasks = [asyncio.create_task(_sweep_for_ever(settings.sweep_seconds, step)) for step in steps]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _sweep_for_ever(seconds: float, step: Callable[[float], Awaitable[None]]) -> None:
    # What a process that is gone has sent is not waited for at the start.
    grace = 0.0
    while True:
        await _safely(step(grace))
        grace = seconds
        await asyncio.sleep(seconds * random.uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311  # no secret


async def sweep_jobs(
    resources: Resources, actor: Actor[[str], Any], detector: FailureDetector, grace_seconds: float
) -> None:
    """Send again the jobs of an actor that nobody would do otherwise."""
    queue = actor.queue_name
    try:
        queued = await asyncio.to_thread(resources.queues.waiting, queue)
    except QueueUnavailable:
        return
    with detector.look() as silent_by:
        # A database that reads may still not write: then nobody could renew, and the look is not made.
        async with asyncio.timeout(patience_seconds(resources.settings.lease_seconds)):
            await lost.note_look(resources.database, JOBS[queue])
        found = await lost.recover(resources.database, JOBS[queue], queued, grace_seconds, silent_by)
    if found:
        log.info("sent again what was lost", queue=queue, jobs=len(found))
        resources.sender.send(actor.message(job_id) for job_id in found)


async def _safely(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # the database is away; the next round finds the same
        log.warning("a sweep failed", error=str(error) or type(error).__name__)
