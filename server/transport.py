"""The connection under a request.

ASGI has no word for what is done here. uvicorn's `receive` is a method of what holds the transport; with another
server nothing of it is possible, and frames are sent by way of ASGI, which costs some times as much.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Receive

RESET = struct.pack("ii", 1, 0)
"""Linger for no time at all: the system drops what it keeps, too."""
ROOM = 64 << 10
"""So many bytes may wait in the transport, beside what the system keeps, before more waits elsewhere."""


class Line:
    """A client's connection. `framed` says that what is written to it is framed as this module's callers do it."""

    __slots__ = ("_framed", "_transport")

    def __init__(self, receive: Receive, *, framed: bool = True) -> None:
        self._transport: asyncio.Transport | None = getattr(getattr(receive, "__self__", None), "transport", None)
        self._framed = framed and self._transport is not None

    @classmethod
    def chunked(cls, receive: Receive) -> Line:
        """The line of a response that has begun, and goes in chunks, unless its server does not say so."""
        return cls(receive, framed=getattr(getattr(receive, "__self__", None), "chunked_encoding", None) is True)

    @property
    def has_room(self) -> bool:
        """Whether more may be written at once."""
        transport = self._transport
        return (
            self._framed
            and transport is not None
            and transport.get_write_buffer_size() < ROOM
            and not transport.is_closing()
        )

    def write(self, wire: bytes) -> None:
        """Write what is framed already, where there is room."""
        assert self._transport is not None
        self._transport.write(wire)

    def abort(self) -> None:
        if self._transport is not None:
            drop(self._transport)


class HeadWithBody(asyncio.Transport):
    """The connection under one response, whose head goes in one write with what follows at once.

    uvicorn writes each by itself: two segments, for which both sides are woken and ask the system twice.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._head is None:
            self._head = bytes(data)
            self._loop.call_soon(self._flush)
        else:
            head, self._head = self._head, b""
            self._transport.write(head + data)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def drop(transport: asyncio.Transport) -> None:
    """End a connection at once, with all that waits to be sent on it: a close waits for a client to read."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
