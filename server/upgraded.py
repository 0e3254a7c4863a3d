"""WebSockets with less kept for each that is open than uvicorn and Starlette would, whether it reads or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from server.transport import ROOM

MOST_UNREAD_BYTES = 4 * ROOM
"""While a client leaves more unread, its pings are not answered."""
UNREAD_CLOSE_SECONDS = 30.0
"""So long it may take to read what was sent before it was found dead."""


class Upgrades:
    """Middleware that hands on the WebSockets of a path at once.

    What comes after it is for HTTP; on the way of a WebSocket it would only stay in memory for as long as that is open.
    """

    def __init__(self, app: ASGIApp, path: str, serve: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._serve = serve

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_ours = scope["type"] == "websocket" and scope["path"] == self._path
        return (self._serve if is_ours else self._app)(scope, receive, send)


def forget_handshake(receive: Receive) -> None:
    """Free what uvicorn keeps of a WebSocket's handshake after it, about 4 kB."""
    protocol = getattr(receive, "__self__", None)
    for name in ("request", "response"):
        if hasattr(protocol, name):
            setattr(protocol, name, None)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, with less kept, and an end for clients that do not read."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.queue = Inbox()  # type: ignore[assignment]  # it has what uvicorn asks of it

    def handle_ping(self) -> None:
        if self.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self.conn.data_to_send()  # thrown away; it may be that a client never stops to ping
            return
        super().handle_ping()

    def keepalive_timeout(self) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        super().keepalive_timeout()
        # It closes, which waits until all is read.
        self.loop.call_later(UNREAD_CLOSE_SECONDS, self.transport.abort)


class Inbox:
    """What came and is not yet received, by one receiver: an `asyncio.Queue` is 3 kB more."""

    __slots__ = ("_arrival", "_messages")

    def __init__(self) -> None:
        self._messages: list[ASGIReceiveEvent] = []
        self._arrival: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        while not self._messages:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        return self._messages.pop(0)
