"""GraphQL over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from weakref import WeakSet

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types.unset import UnsetType

from resolvers import schema
from resolvers.context import Context, make_context
from schema.context import Caller
from schema.errors import ErrorCode
from server.authentication import KeysUnavailable, Unauthenticated
from server.state import State
from server.web import graphiql

INIT_SECONDS = 10
GOING_AWAY = 1001
NOT_READING = 1013
NOBODY = Caller("", is_operator=False)
"""Who is on a WebSocket before `connection_init`: nobody's id is empty, and no operation runs before."""

_closing: set[asyncio.Task[None]] = set()


class Endpoint(GraphQL[Context, None]):
    """`/graphql`: queries and mutations, subscriptions on three transports, and GraphiQL for a browser."""

    def __init__(self, allowed_origins: tuple[str, ...]) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(
                GRAPHQL_TRANSPORT_WS_PROTOCOL,
                GRAPHQL_SSE_PROTOCOL,
                MULTIPART_SUBSCRIPTION_PROTOCOL,
            ),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            allowed_origins=allowed_origins,
        )
        self._sockets: WeakSet[WebSocket] = WeakSet()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            if _wants_page(request):
                await graphiql()(scope, receive, send)
                return
            try:
                scope["maquette.caller"] = await State.of(request).caller(request)
            except Unauthenticated as error:
                await _refusal(401, ErrorCode.UNAUTHENTICATED, error)(scope, receive, send)
                return
            except KeysUnavailable as error:
                await _refusal(503, ErrorCode.UNAVAILABLE, error)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def create_websocket_response(self, request: WebSocket, subprotocol: str | None) -> WebSocket:
        self._sockets.add(request)
        return await super().create_websocket_response(request, subprotocol)

    def close_sockets(self) -> set[asyncio.Task[None]]:
        """Send every WebSocket elsewhere. A `complete` would have its client think that the stream is at its end."""
        return {
            asyncio.create_task(_close(socket, GOING_AWAY, "The server stops; connect again."))
            for socket in tuple(self._sockets)
        }

    async def get_context(self, request: HTTPConnection, response: Response | WebSocket) -> Context:
        state = State.of(request)
        websocket = response if isinstance(response, WebSocket) else None
        return make_context(
            state.resources,
            state.optimizer,
            request.scope.get("maquette.caller", NOBODY),
            state.url_of(request),
            state.links.events_path,
            lambda: _cut_off(websocket),
            websocket,
        )

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        websocket = context.connection
        assert isinstance(websocket, WebSocket)
        parameters = context.connection_params or {}
        header = _authorization(parameters) or websocket.headers.get("authorization")
        try:
            context.caller = await State.of(websocket).authenticator.caller(header)
        except (Unauthenticated, KeysUnavailable) as error:
            raise ConnectionRejectionError from error
        return await super().on_ws_connect(context)


def _wants_page(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return request.method == "GET" and "text/html" in accepted and "query" not in request.query_params


def _refusal(status: int, code: ErrorCode, error: Exception) -> Response:
    return JSONResponse(
        {"errors": [{"message": str(error), "extensions": {"code": code.value}}]},
        status_code=status,
        headers={"WWW-Authenticate": "Bearer"} if status == 401 else None,
    )


def _authorization(parameters: Mapping[str, object]) -> str | None:
    """The token of `connection_init`: under `authorization`, as in HTTP, with or without `Bearer`."""
    for name, value in parameters.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value if value.lower().startswith("bearer ") else f"Bearer {value}"
    return None


def _cut_off(websocket: WebSocket | None) -> None:
    if websocket is not None:
        closing = asyncio.create_task(_close(websocket, NOT_READING, "Not reading: come back with your cursor."))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    # A socket that is closed already says so in several ways.
    with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect):
        await websocket.close(code, reason)
