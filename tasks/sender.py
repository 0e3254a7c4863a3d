"""Sending messages after the commit, several at a time, without keeping the caller waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog
from dramatiq import Message

from events.cancellation import is_cancelled
from tasks.broker import Queues, Send

log = structlog.get_logger(__name__)

Messages = list[Message[None]]
LIMIT = 1_000
"""The most messages that are sent at once."""


class Sender:
    """Sends in the background, what has gathered meanwhile in one round trip. What is lost, the sweeper sends again."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._waiting: Messages = []
        self._wake = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def send(self, messages: Iterable[Message[None]]) -> None:
        self._waiting += messages
        self._wake.set()
        self._is_idle.clear()

    def send_later(self, seconds: float, message: Message[None]) -> None:
        """Send when `seconds` have passed. If this process is gone by then, the sweeper does it."""
        asyncio.get_running_loop().call_later(seconds, self.send, [message])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._queues.sending() as send:
            task = asyncio.create_task(self._run(send))
            try:
                yield
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._is_idle.wait()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _run(self, send: Send) -> None:
        while not is_cancelled():
            await self._wake.wait()
            batch, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
            if batch:
                try:
                    await send(batch)
                except Exception as error:  # whatever the queue raises, what comes next must still be sent
                    log.warning("messages could not be sent; the sweeper will", count=len(batch), error=str(error))
            if not self._waiting:
                self._wake.clear()
                self._is_idle.set()
