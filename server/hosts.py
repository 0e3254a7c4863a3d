"""Which pages may ask: those of this origin and of ALLOWED_ORIGINS.

Where nobody logs in, other machines are kept out, and pages of other sites though their name may mean this one. To its
browser such a page (DNS rebinding) is of the same origin, and may ask and read: only the `Host` tells.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

LONGEST_ORIGIN = 200
KEPT = 100
"""So many names, and addresses, are remembered."""

log = structlog.get_logger(__name__)


def log_refused(origin: str) -> None:
    """A browser does not tell a page why, and of a WebSocket not even its developer."""
    log.warning("a page of another origin was refused: name it in ALLOWED_ORIGINS", origin=origin[:LONGEST_ORIGIN])


class CrossOrigin(CORSMiddleware):
    """Starlette's, with a word in the log of what is refused when a browser asks beforehand."""

    def preflight_response(self, request_headers: Headers) -> Response:
        origin = request_headers["origin"]
        if not self.is_allowed_origin(origin):
            log_refused(origin)
        return super().preflight_response(request_headers)


class LocalHosts:
    """Middleware that answers only who calls this machine by a name of its own, or by that of PUBLIC_URL.

    By loopback in any case, whatever server has been told to listen on.
    """

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._names = frozenset({"localhost", *([urlsplit(public_url).hostname] if public_url else [])})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (_came_by_loopback(scope) and self._is_ours(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close()
        else:
            message = (
                "Without tokens, only this machine is served: call it localhost, or set PUBLIC_URL. "
                "To serve others, set JWT_SECRET or JWT_JWKS_URL."
            )
            await JSONResponse({"error": message}, 421)(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        return _is_one_of(self._names, Headers(scope=scope).get("host", ""))


@lru_cache(KEPT)
def _is_one_of(names: frozenset[str | None], host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
        return name in names or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return False


def _came_by_loopback(scope: Scope) -> bool:
    address, _ = scope.get("server") or (None, None)
    return _is_loopback(address or "::1")


@lru_cache(KEPT)
def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
        return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback
    except ValueError:  # the path of a Unix socket
        return True
