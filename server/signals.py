"""What happens when the process is told to stop, whoever handles the signal after us."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog

NUMBERS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger(__name__)


def be_out_within(seconds: float) -> None:
    """End the process after so long, whatever still holds it, such as a thread that waits for a storage that hangs.

    What is not finished by then is as after a kill: the leases say who goes on with it.
    """

    def leave() -> None:
        log.warning("not all that is in hand could be given back; the process ends all the same")
        os._exit(0)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


@contextmanager
def on_stop(end: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Run `end` on SIGTERM and SIGINT, and then what was to be done already.

    A server that is not ours waits for open connections when it stops, and streams are open until they are ended.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}
    ending: list[asyncio.Task[None]] = []

    async def stop(number: int) -> None:
        try:
            await end()
        finally:
            before[number](number, None)

    def handle(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(lambda: ending.append(loop.create_task(stop(number))))

    # Signals can be handled in the main thread only.
    if threading.current_thread() is threading.main_thread():
        for number in NUMBERS:
            handler = signal.getsignal(number)
            if callable(handler):
                before[number] = handler
                signal.signal(number, handle)
    try:
        yield
    finally:
        for replaced, handler in before.items():
            signal.signal(replaced, handler)
