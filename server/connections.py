"""HTTP connections that nobody can hold for ever: uvicorn leaves that to a proxy."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.transport import HeadWithBody, drop
from tasks.actors import configured

TOO_LARGE = b"431 Request Header Fields Too Large"
TOO_SLOW = b"408 Request Timeout"
PATIENCE = 15
"""The system keeps megabytes on both sides, and asks for more in steps: one of a slow client's may take minutes."""
MOST_PIPELINED = 64
"""Requests that wait for those before them. Each takes some 2.5 kB, and thousands may be read at once."""


class HttpProtocol(HttpToolsProtocol):
    """Refuses a head that has more than MAX_HEADER_BYTES, or does not come within HEADER_TIMEOUT_SECONDS.

    Ends a connection whose client has taken next to nothing of an answer for PATIENCE times SLOW_CLIENT_SECONDS, or has
    more than MOST_PIPELINED requests wait.
    """

    _reading_head = True
    _received = 0
    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(PATIENCE * configured.slow_client_seconds, drop, self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def on_message_begin(self) -> None:
        self._reading_head = True
        self._stop_timer()
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._received = 0
        self._stop_timer()
        if len(self.pipeline) >= MOST_PIPELINED:
            drop(self.transport)
            return
        before = self.cycle
        super().on_headers_complete()
        # A WebSocket has none. After a HEAD nothing follows, and what is read next may close the connection first.
        if self.cycle is not before and self.scope["method"] != "HEAD":
            self.cycle.transport = HeadWithBody(self.transport, self.loop)

    def data_received(self, data: bytes) -> None:
        self._received += len(data) if self._reading_head else 0
        super().data_received(data)
        if self._reading_head and self._received > configured.max_header_bytes:
            self._refuse(TOO_LARGE)
        elif self._is_idle() and self.transport.get_protocol() is self:
            # It stopped uvicorn's timer of an idle connection: the rest of a body, or a line between two requests.
            self._await_head()

    def _is_idle(self) -> bool:
        # uvicorn says that there always is one, and begins without.
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(configured.header_timeout_seconds, self._refuse, TOO_SLOW)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
