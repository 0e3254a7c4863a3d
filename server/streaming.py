"""Responses that last: sent as they are made, kept alive, and ended in time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import Enum, auto

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.transport import aborter

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

CLOSING_SECONDS = 1.0


class Ending(Enum):
    """Why a stream ends."""

    DONE = auto()
    EXPIRED = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is sent every so many seconds, so that nobody on the way takes the connection for dead."""

    frame: str
    seconds: float


class Stream(Response):
    """A stream of frames.

    It ends with `farewell` when `expires_at` (Unix time) has come, and drops a client that takes nothing for
    `slow_seconds`.
    """

    def __init__(
        self,
        frames: AsyncGenerator[str, None],
        media_type: str,
        pulse: Pulse,
        slow_seconds: float,
        expires_at: float | None = None,
        farewell: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(headers={**HEADERS, **(headers or {}), "Content-Type": media_type})
        del self.headers["Content-Length"]
        self._frames = frames
        self._pulse = pulse
        self._slow_seconds = slow_seconds
        self._expires_at = expires_at
        self._farewell = farewell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._frames):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                ending = Ending.DONE if scope["method"] == "HEAD" else await self._last(receive, send)
                if ending is not Ending.GONE:
                    await self._send(send, self._farewell if ending is Ending.EXPIRED else "", more=False)
            except TimeoutError:
                aborter(receive)()
                # Until the server knows that it is gone: it would tell of a response that was not completed.
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSING_SECONDS):
                        await receive()

    async def _last(self, receive: Receive, send: Send) -> Ending:
        tasks = [asyncio.create_task(self._pump(send)), asyncio.create_task(self._watch(receive, send))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, send: Send) -> Ending:
        async for frame in self._frames:
            await self._send(send, frame)
        return Ending.DONE

    async def _watch(self, receive: Receive, send: Send) -> Ending:
        """Send the pulse until the client has gone or its time is up."""
        while True:
            left = math.inf if self._expires_at is None else self._expires_at - time.time()
            if left <= 0:
                return Ending.EXPIRED
            try:
                async with asyncio.timeout(min(left, self._pulse.seconds)):
                    while (await receive())["type"] != "http.disconnect":
                        pass
                return Ending.GONE
            except TimeoutError:
                if left > self._pulse.seconds:
                    await self._send(send, self._pulse.frame)

    async def _send(self, send: Send, frame: str, *, more: bool = True) -> None:
        async with asyncio.timeout(self._slow_seconds):
            await send({"type": "http.response.body", "body": frame.encode(), "more_body": more})
