"""Bodies of requests, read no further than allowed."""

from __future__ import annotations

from starlette.requests import Request


class TooLarge(Exception):
    """The body has more bytes than are allowed."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes; raises `TooLarge`, and `ClientDisconnect` where the client leaves."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)
