"""The connection under a request."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from starlette.types import Receive

RESET = struct.pack("ii", 1, 0)
"""Linger for no time at all: the system drops what it keeps, too."""


def aborter(receive: Receive) -> Callable[[], None]:
    """What drops the connection at once, with all that waits to be sent on it.

    ASGI has no word for it, and uvicorn's close waits for a client that does not read. Its `receive` is a method of
    what holds the transport; with another server this does nothing.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)

    def abort() -> None:
        if transport is not None and not transport.is_closing():
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if transport is not None:
            transport.abort()

    return abort
