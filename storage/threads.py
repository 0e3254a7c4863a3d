"""Blocking work off the event loop that can be told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from threading import Event
from typing import TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The caller of the work has gone."""


async def run(work: Callable[[Event], T], undo: Callable[[], object], executor: Executor | None = None) -> T:
    """Do `work` in a thread; it looks at the event it is given between its steps and raises `Stopped` once that is set.

    A cancelled caller waits until the thread has ended, so nothing is written behind its back; work that
    ended well all the same is undone, and work that has no thread yet is not begun. The threads are `executor`'s, or
    the loop's own.
    """
    begun, stop = Event(), Event()

    def begin() -> T:
        begun.set()
        if stop.is_set():
            raise Stopped
        return work(stop)

    loop = asyncio.get_running_loop()
    done = loop.run_in_executor(executor, begin)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop.set()
        if not begun.is_set():
            done.cancel()
            raise
        await asyncio.wait([done])
        if done.exception() is None:
            # What goes wrong in it is logged by the loop; the caller is to see that it was cancelled.
            await asyncio.wait([loop.run_in_executor(executor, undo)])
        raise
