"""Blocking work off the event loop, in threads of the storage's own: where it hangs, nobody else waits for a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

COUNT = 16
WORK = ThreadPoolExecutor(COUNT, "storage")
CHECKS = ThreadPoolExecutor(4, "storage-check")
"""Whoever asks often whether the storage answers has these threads for it."""


class Stopped(Exception):
    """The caller of the work has gone."""


async def do(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(WORK, lambda: work(*args, **kwargs))


async def check(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    await asyncio.get_running_loop().run_in_executor(CHECKS, lambda: work(*args, **kwargs))


async def run(work: Callable[[Event], T], undo: Callable[[], object]) -> T:
    """Do `work`; it looks at the event it is given between its steps and raises `Stopped` once that is set.

    A cancelled caller waits until the thread has ended, so nothing is written behind its back; work that
    ended well all the same is undone.
    """
    stop = Event()
    begun = WORK.submit(work, stop)
    done = asyncio.wrap_future(begun)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if not begun.cancel():
            stop.set()
            await asyncio.wait([done])
            if done.exception() is None:
                # What goes wrong in it is logged by the loop; the caller is to see that it was cancelled.
                await asyncio.wait([asyncio.wrap_future(WORK.submit(undo))])
        raise
