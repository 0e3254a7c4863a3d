"""The connection under a request."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive


def aborter(receive: Receive) -> Callable[[], None]:
    """What drops the connection at once, with all that waits to be sent on it.

    ASGI has no word for it, and uvicorn's close waits for a client that does not read. Its `receive` is a method of
    what holds the transport; with another server this does nothing.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    abort = getattr(transport, "abort", None)
    return abort if callable(abort) else lambda: None
