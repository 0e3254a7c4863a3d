"""Making good what was lost: jobs whose message or worker is gone, files that nobody deleted. Runs in every process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from db import jobs
from db.queues import JOBS
from tasks import actors
from tasks.broker import QueueUnavailable
from tasks.files import delete_left_over
from tasks.resources import Resources

log = structlog.get_logger(__name__)


@asynccontextmanager
async def sweeping(resources: Resources) -> AsyncIterator[None]:
    """Sweep at once, then every SWEEP_SECONDS, while the block runs."""
    # Apart: a storage that is slow to delete is not to hold up what was lost.
    steps = partial(sweep_jobs, resources), lambda _: delete_left_over(resources)
    tasks = [asyncio.create_task(_sweep_for_ever(resources.settings.sweep_seconds, step)) for step in steps]
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
        # Many processes sweep: they are not to do it in step.
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311  # no secret


async def sweep_jobs(resources: Resources, grace_seconds: float) -> None:
    """Send again the jobs that nobody would do otherwise."""
    for actor in (actors.generate_image, actors.generate_model):
        queue = actor.queue_name
        try:
            queued = await asyncio.to_thread(resources.queues.waiting, queue)
        except QueueUnavailable:
            return
        lost = await jobs.sweep(resources.database, JOBS[queue], queued, grace_seconds)
        if lost:
            log.info("sent again what was lost", queue=queue, jobs=len(lost))
            resources.sender.send(actor.message(job_id) for job_id in lost)


async def _safely(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:  # the database is away; the next round finds the same
        log.warning("a sweep failed", error=str(error) or type(error).__name__)
