"""Places: a job that has left its place goes on, another takes it, and not too many go on at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

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
    places, job = Places(2, 2), Job()
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
    places, jobs = Places(2, 2), [Job(), Job(), Job()]
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


@pytest.mark.parametrize("late", [False, True])
async def test_a_fault_is_raised_or_logged(late: bool):
    async def early(_leave: Leave) -> None:
        raise LookupError

    places, job = Places(1, 1), Job(LookupError())
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


async def test_places_that_are_taken_are_nobody_elses():
    places, job = Places(4, 12), Job()
    waiting = asyncio.create_task(places.begin(job))
    await job.begun.wait()
    assert not await places.take(4)
    assert await places.take(3)
    later = asyncio.create_task(places.begin(at_once))
    await asyncio.sleep(0)
    places.start(at_once)
    await asyncio.wait_for(later, 1)
    places.give_back(2)
    assert await places.take(3)
    places.give_back(3)
    job.leaving.set()
    job.ending.set()
    await waiting
    assert await places.take(4)


async def test_a_place_that_is_taken_is_waited_for():
    places = Places(2, 2)
    assert await places.take(1)
    emptied = asyncio.create_task(places.empty())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not emptied.done(), "a job is to start in it"
    places.start(at_once)
    await asyncio.wait_for(emptied, 1)


async def test_a_started_job_that_fails_is_logged_and_leaves_its_place():
    async def early(_leave: Leave) -> None:
        raise LookupError

    places = Places(1, 1)
    assert await places.take(1)
    with structlog.testing.capture_logs() as logs:
        places.start(early)
        await until(lambda: len(logs) == 1)
    assert await places.take(1)


@given(st.data())
def test_there_are_never_more_jobs_than_places(data: st.DataObject):
    most_drawn, most = 3, 5

    async def lived() -> None:
        places, jobs, waiting, taken = Places(most_drawn, most), list[Job](), list[asyncio.Task[None]](), 0

        def new() -> Job:
            jobs.append(Job())
            return jobs[-1]

        for _ in range(data.draw(st.integers(0, 30))):
            match data.draw(st.sampled_from(["begin", "take", "start", "give back", "leave", "end", "cancel"])):
                case "begin":
                    waiting.append(asyncio.create_task(places.begin(new())))
                case "take":
                    count = data.draw(st.integers(1, most_drawn))
                    taken += count if await places.take(count) else 0
                case "start" if taken:
                    places.start(new())
                    taken -= 1
                case "give back" if taken:
                    places.give_back(taken)
                    taken = 0
                case "leave" if jobs:
                    data.draw(st.sampled_from(jobs)).leaving.set()
                case "end" if jobs:
                    job = data.draw(st.sampled_from(jobs))
                    job.leaving.set()
                    job.ending.set()
                case "cancel" if waiting:
                    data.draw(st.sampled_from(waiting)).cancel()
                case _:
                    pass
            for _ in range(5):
                await asyncio.sleep(0)
            begun = [job for job in jobs if job.begun.is_set() and not job.ending.is_set()]
            assert taken + len(begun) <= most
            assert taken + sum(not job.leaving.is_set() for job in begun) <= most_drawn
        places.give_back(taken)
        for task in waiting:
            task.cancel()
        for job in jobs:
            job.leaving.set()
            job.ending.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        await places.empty()
        assert await places.take(most_drawn), "a place was lost"

    asyncio.run(lived())
