"""Places: a job that has left its place goes on, another takes it, and not too many go on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog

from tasks.places import Leave, Places
from tests.waiting import until


class Job:
    """Leaves its place when told to, and ends when told to, with an error if it was given one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.leaving, self.ending = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.error = error

    async def __call__(self, leave: Leave) -> None:
        self.begun.set()
        await self.leaving.wait()
        leave()
        await self.ending.wait()
        if self.error:
            raise self.error


async def at_once(_leave: Leave) -> None:
    pass


async def test_a_place_is_free_before_its_job_is_done():
    places, job = Places(2), Job()
    begun = asyncio.create_task(places.begin(job))
    await job.begun.wait()
    assert not begun.done()
    job.leaving.set()
    await begun
    await places.begin(at_once)
    emptied = asyncio.create_task(places.empty())
    await places.begin(at_once)
    assert not emptied.done()
    job.ending.set()
    await emptied


async def test_no_more_jobs_begin_than_may_be_unfinished():
    places, jobs = Places(2), [Job(), Job(), Job()]
    begun = [asyncio.create_task(places.begin(job)) for job in jobs]
    for job in jobs:
        job.leaving.set()
    await asyncio.gather(*begun[:2])
    assert not jobs[2].begun.is_set()
    jobs[0].ending.set()
    await begun[2]
    for job in jobs:
        job.ending.set()
    await places.empty()


async def test_waiting_for_the_rest_is_bounded():
    places, job = Places(1), Job()
    job.leaving.set()
    await places.begin(job)
    await places.empty(timeout=0.01)
    job.ending.set()
    await places.empty()


@pytest.mark.parametrize("late", [False, True])
async def test_a_fault_is_raised_or_logged(late: bool):
    async def early(_leave: Leave) -> None:
        raise LookupError

    places, job = Places(1), Job(LookupError())
    chosen: Callable[[Leave], Coroutine[Any, Any, None]] = job if late else early
    job.leaving.set()
    if not late:
        with pytest.raises(LookupError):
            await places.begin(chosen)
        return
    with structlog.testing.capture_logs() as logs:
        await places.begin(chosen)
        job.ending.set()
        await until(lambda: logs)
    assert [entry["log_level"] for entry in logs] == ["error"]
