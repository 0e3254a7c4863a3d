"""How many images are drawn at once, while those that are drawn are still being kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Leave = Callable[[], None]
"""Gives a job's place away before the job is done."""


class Places:
    """The jobs that have begun, `most` of them. The queue counts those that have not left their places."""

    def __init__(self, most: int) -> None:
        self._room = asyncio.Semaphore(most)
        self._jobs: set[asyncio.Task[None]] = set()

    async def begin(self, job: Callable[[Leave], Coroutine[Any, Any, None]]) -> None:
        """Do a job, and return when it has left its place; raises what it raises until then."""
        await self._room.acquire()
        left = asyncio.Event()
        task = asyncio.create_task(job(left.set))
        self._jobs.add(task)
        task.add_done_callback(self._end)
        task.add_done_callback(lambda _: left.set())
        await left.wait()
        if task.done():
            await task
        else:
            task.add_done_callback(_say_what_went_wrong)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        self._room.release()

    async def empty(self, timeout: float | None = None) -> None:
        """Wait until all jobs are done, `timeout` seconds at most."""
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=timeout)


def _say_what_went_wrong(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a job failed after it had left its place; the sweeper sends it again", exc_info=error)
