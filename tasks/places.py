"""How many images are drawn at once, while those that are drawn are still being kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Leave = Callable[[], None]
"""Gives a job's place away before the job is done."""
Job = Callable[[Leave], Coroutine[Any, Any, None]]


class Places:
    """Places for `places` jobs. Those that have left theirs go on: with them, `most` have begun and are not done."""

    def __init__(self, places: int, most: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._room = asyncio.Semaphore(most)
        self._jobs: set[asyncio.Task[None]] = set()
        self._occupied = 0
        self._empty = asyncio.Event()
        self._empty.set()

    async def begin(self, job: Job) -> None:
        """Do a job when there is a place, and return when it has left it; raises what it raises until then."""
        await self._room.acquire()
        try:
            await self._places.acquire()
        except BaseException:
            self._room.release()
            raise
        self._occupy()
        task, left = self._started(job)
        await left.wait()
        if task.done():
            await task
        else:
            task.add_done_callback(_say_what_went_wrong)

    async def take(self, count: int) -> bool:
        """Take so many places for jobs that are to `start`; False, without waiting, where there are not so many now."""
        for taken in range(count):
            if self._places.locked() or self._room.locked():
                self.give_back(taken)
                return False
            await self._places.acquire()
            await self._room.acquire()
            self._occupy()
        return True

    def give_back(self, count: int) -> None:
        """Give back places that were taken, and in which nothing starts."""
        for _ in range(count):
            self._places.release()
            self._vacate()

    def start(self, job: Job) -> None:
        """Do a job in a place that was taken."""
        task, _ = self._started(job)
        task.add_done_callback(_say_what_went_wrong)

    def _started(self, job: Job) -> tuple[asyncio.Task[None], asyncio.Event]:
        left = asyncio.Event()

        def leave() -> None:
            if not left.is_set():
                left.set()
                self._places.release()

        def end(task: asyncio.Task[None]) -> None:
            leave()
            self._jobs.discard(task)
            self._vacate()

        task = asyncio.create_task(job(leave))
        self._jobs.add(task)
        task.add_done_callback(end)
        return task, left

    def _occupy(self) -> None:
        self._occupied += 1
        self._empty.clear()

    def _vacate(self) -> None:
        self._room.release()
        self._occupied -= 1
        if self._occupied == 0:
            self._empty.set()

    async def empty(self) -> None:
        """Wait until all jobs are done and no place is taken."""
        await self._empty.wait()


def _say_what_went_wrong(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a job failed, and nobody waits for it; the sweeper sends it again", exc_info=error)
