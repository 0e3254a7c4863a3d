"""Making good what was lost: jobs whose message or worker is gone, files that nobody deleted. Runs in every process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial

import structlog

from db import lost
from db.queues import JOBS
from events.clock import utc_now
from tasks import actors
from tasks.attempt import RENEWALS_PER_LEASE
from tasks.broker import QueueUnavailable
from tasks.files import delete_left_over
from tasks.resources import Resources

SPREAD = 0.2
"""Many processes sweep: their pauses are so much shorter or longer than SWEEP_SECONDS, that they do not keep step."""
DELAYS_PER_LEASE = 10
"""A sweep that comes later than by a tenth of the lease says that something stood still."""

log = structlog.get_logger(__name__)


class Silence:
    """When a lease that ran out tells that its worker is gone.

    It does not just after the database, this machine or the clock stood still or leapt: whoever lives could not renew
    its leases, and is to do so first.
    """

    def __init__(self, lease_seconds: float, sweep_seconds: float) -> None:
        self._renewal_seconds = lease_seconds / RENEWALS_PER_LEASE
        self._longest_pause = timedelta(seconds=(1 + SPREAD) * sweep_seconds + lease_seconds / DELAYS_PER_LEASE)
        self._looked_at = utc_now()
        self._tells_from: float | None = None

    @contextmanager
    def look(self) -> Iterator[datetime | None]:
        """Look at the database in the block, which raises where it is away.

        Gives the moment by which a lease must have run out, or None where that would tell nothing.
        """
        now, moment = asyncio.get_running_loop().time(), utc_now()
        # Not over again while it waits: where every look is late, every other one is to find who is gone.
        if self._tells_from is None and abs(moment - self._looked_at) > self._longest_pause:
            self._tells_from = now + self._renewal_seconds
        tells = self._tells_from is None or now >= self._tells_from
        try:
            yield moment if tells else None
        except BaseException:
            self._tells_from = None
            raise
        self._looked_at = moment
        if tells:
            self._tells_from = None


@asynccontextmanager
async def sweeping(resources: Resources) -> AsyncIterator[None]:
    """Sweep at once, then every SWEEP_SECONDS, while the block runs."""
    settings = resources.settings
    # Apart: a storage that is slow to delete is not to hold up what was lost.
    steps = (
        partial(sweep_jobs, resources, Silence(settings.lease_seconds, settings.sweep_seconds)),
        lambda _: delete_left_over(resources),
    )
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


async def sweep_jobs(resources: Resources, silence: Silence, grace_seconds: float) -> None:
    """Send again the jobs that nobody would do otherwise."""
    with silence.look() as silent_by:
        for actor in (actors.generate_image, actors.generate_model):
            queue = actor.queue_name
            try:
                queued = await asyncio.to_thread(resources.queues.waiting, queue)
            except QueueUnavailable:
                return
            found = await lost.find(resources.database, JOBS[queue], queued, grace_seconds, silent_by)
            if found:
                log.info("sent again what was lost", queue=queue, jobs=len(found))
                resources.sender.send(actor.message(job_id) for job_id in found)


async def _safely(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # the database is away; the next round finds the same
        log.warning("a sweep failed", error=str(error) or type(error).__name__)
