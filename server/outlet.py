"""Where a feed's frames leave the process: onto one client's connection."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence

from events.feed import MOST_WAITING_BYTES, Batch, Framing, Member, Told
from server.transport import Line

QUEUE_LIMIT = 512
"""So many events may wait for a client. A request has some hundred: only one that does not read gets here."""
QUEUE_BYTES = 2 * MOST_WAITING_BYTES
"""So many bytes of them: as many as two batches may have. A single event may be longer."""


class Outlet(Member):
    """Writes straight onto the connection while that takes it; else events wait, and are sent as there is room.

    A task exists only while something waits.
    """

    __slots__ = ("_fault", "_flushing", "_framing", "_over", "_waiting", "line")
    line: Line

    def __init__(self, framing: Framing, cursor: int) -> None:
        super().__init__(cursor)
        self._framing = framing
        self._waiting: deque[Told] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._over = False
        self._fault: Exception | None = None

    @abstractmethod
    async def send(self, told: Told) -> None:
        """Send by way of the server, which waits for room; raises what it will where the client takes nothing."""

    @abstractmethod
    async def finish(self, fault: Exception | None) -> None:
        """Send what goes after the last event, by way of the server."""

    @abstractmethod
    def cut_off(self) -> None:
        """End the connection: its client does not read."""

    async def catch_up(self, told: Told) -> None:
        await self.send(told)

    def take(self, batch: Batch) -> None:
        cursor = self.cursor
        if cursor >= batch.last:
            return
        self.cursor = batch.last
        news = batch.after(cursor)
        wire = batch.wire(self._framing) if news is batch.told else self._framing.wire(news)
        if not self.say(wire):
            self.wait(news)

    def say(self, wire: bytes) -> bool:
        """Write at once, unless something waits or there is no room."""
        if self._flushing is not None or not self.line.has_room:
            return False
        self.line.write(wire)
        return True

    def end(self, fault: Exception | None) -> None:
        self._over, self._fault = True, fault
        self.wait(())

    def close(self) -> None:
        """Send nothing more."""
        self._waiting, self._over = None, False
        if self._flushing is not None:
            self._flushing.cancel()

    def wait(self, told: Sequence[Told]) -> None:
        """Send in turn, as there is room."""
        waiting = (*(self._waiting or ()), *told)
        if len(waiting) > QUEUE_LIMIT or (len(waiting) > 1 and sum(len(one.body) for one in waiting) > QUEUE_BYTES):
            self.close()
            self.cut_off()
            return
        self._waiting = deque(waiting)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await self.send(self._waiting.popleft())
        finally:
            self._waiting = self._flushing = None
        if self._over:
            await self.finish(self._fault)
