"""Responses that last: sent as things happen, kept alive, and ended in time."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from events.feed import Told
from events.follow import OfRequest
from resolvers.errors import internal
from resolvers.operations import Subscribed, answer
from schema.context import Caller
from server.following import follow
from server.framing import Frames, chunk
from server.outlet import Outlet
from server.places import Place
from server.state import State
from server.transport import Line

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
CLOSING_SECONDS = 1.0
PULSE = Told(0, b"")


def _headers(frames: Frames) -> list[tuple[bytes, bytes]]:
    headers = {**HEADERS, "Content-Type": frames.media_type}
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


class Stream(Outlet):
    """A response that lasts, until its client leaves, what it follows ends, or the caller's time is up.

    It has its place from before it begins, so that no more begin than there are places, and gives it back at its end.
    """

    __slots__ = (
        "_caller",
        "_deadline",
        "_farewell",
        "_frames",
        "_is_cut_off",
        "_place",
        "_send",
        "_state",
        "_subscribed",
        "_timer",
    )

    def __init__(
        self, state: State, subscribed: Subscribed, caller: Caller, place: Place, frames: Frames, expired: bytes
    ) -> None:
        super().__init__(frames, subscribed.topic.after if isinstance(subscribed.topic, OfRequest) else 0)
        self._state = state
        self._subscribed: Subscribed | None = subscribed
        self._caller = caller
        self._place = place
        self._frames = frames
        self._farewell = expired
        self._is_cut_off = False
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._respond(scope, receive, send)
        finally:
            self._place.give_back()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        await send({"type": "http.response.start", "status": 200, "headers": _headers(self._frames)})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        self.line = Line.chunked(receive)
        left = None if self._caller.expires_at is None else max(0.0, self._caller.expires_at - time.time())
        self._deadline = asyncio.timeout(left)
        try:
            async with self._deadline:
                await self._follow(receive)
            return
        except TimeoutError:
            pass
        finally:
            self._stop()
        if not self._is_cut_off:
            await self._write(self._farewell, more=False)
        if self._is_cut_off:
            self.line.abort()
            # Until the server knows that it is gone: it would tell of a response that was not completed.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await receive()

    async def _follow(self, receive: Receive) -> None:
        await self._write(self._frames.opening)
        try:
            assert self._subscribed is not None
            await follow(self._state.resources, self._state.feeds, self._subscribed, self)
        except Exception as fault:  # the client learns of it in the stream, which has begun
            self.end(fault)
        # What it took to begin is not kept for as long as the stream lasts.
        self._subscribed = None
        self._beat_later()
        while (await receive())["type"] != "http.disconnect":
            pass

    def _stop(self) -> None:
        self.leave()
        self.close()
        if self._timer is not None:
            self._timer.cancel()

    def _beat_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._frames.pulse.seconds, self._beat)

    def _beat(self) -> None:
        if not self.say(chunk(self._frames.pulse.frame)):
            self.wait([PULSE])
        self._beat_later()

    async def send(self, told: Told) -> None:
        await self._write(self._frames.pulse.frame if told is PULSE else self._frames.frame(told.body))

    async def finish(self, fault: Exception | None) -> None:
        self._farewell = self._frames.end(None if fault is None else answer([internal(fault)]))
        self._conclude()

    def cut_off(self) -> None:
        self._is_cut_off = True
        self._conclude()

    def _conclude(self) -> None:
        with suppress(RuntimeError):  # it ends already
            self._deadline.reschedule(asyncio.get_running_loop().time())

    async def _write(self, frame: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._state.resources.settings.slow_client_seconds):
                await self._send({"type": "http.response.body", "body": frame, "more_body": more})
        except TimeoutError:
            self.cut_off()
