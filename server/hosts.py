"""Where nobody logs in, pages of other sites are kept out even if their name is made to mean this machine.

To its browser such a page (DNS rebinding) is of the same origin, and may ask and read: only the `Host` tells.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket


class LocalHosts:
    """Middleware that answers only who calls this machine by a name of its own, or by that of PUBLIC_URL."""

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._names: set[str | None] = {"localhost", *([urlsplit(public_url).hostname] if public_url else [])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_ours(HTTPConnection(scope).headers.get("host", "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close()
        else:
            message = "Without tokens, only this machine is served: call it localhost, or set PUBLIC_URL."
            await JSONResponse({"error": message}, 421)(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
            return name in self._names or ipaddress.ip_address(name or "").is_loopback
        except ValueError:
            return False
