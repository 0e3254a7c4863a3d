"""`/graphql` over WebSocket, as the subprotocol graphql-transport-ws has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Collection, Mapping
from contextlib import suppress
from typing import Any, assert_never
from weakref import WeakSet

from graphql import GraphQLError, OperationType
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.http.websocket_origin import is_same_origin, normalize_origin

from events.feed import Told
from events.follow import OfRequest
from resolvers import operations
from resolvers.context import Context
from resolvers.documents import Refused
from resolvers.errors import internal
from resolvers.operations import Operation, Subscribed, answer
from schema.context import Caller
from schema.errors import ErrorCode, api_error
from server.authentication import Unauthenticated
from server.following import follow, subscribe
from server.framing import Next, encode, next_of
from server.hosts import log_refused
from server.keys import KeysUnavailable
from server.outlet import Outlet
from server.parameters import Malformed, Parameters, decode, operation_of
from server.places import Full, Place
from server.protocol import PROTOCOL, Close, CloseCode, Complete, ConnectionInit, Message, Ping, Pong, Subscribe
from server.state import State
from server.transport import Line
from server.upgraded import forget_handshake

HEADERS = (b"host", b"authorization")
"""What is asked after of a handshake's headers once the connection is there."""
LEAVING = "The server stops; connect again"
CLOSING_SECONDS = 1.0
LINGERING_SECONDS = 12.0
"""uvicorn gives the client ten seconds to answer a close."""


class Sockets:
    """The WebSockets of this process."""

    def __init__(self, allowed_origins: Collection[str]) -> None:
        self._allowed_origins = frozenset(allowed_origins)
        self._open: WeakSet[Socket] = WeakSet()
        self._are_leaving = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        if not await self._accepted(websocket):
            return
        if self._are_leaving:
            await websocket.close(CloseCode.GOING_AWAY, LEAVING)
            return
        forget_handshake(receive)
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name in HEADERS]
        socket = Socket(scope, receive, send)
        self._open.add(socket)
        await socket.serve()

    async def _accepted(self, websocket: WebSocket) -> bool:
        if not self._may_connect(websocket.headers):
            # Before it is accepted, this answers with 403.
            await websocket.close()
            return False
        if PROTOCOL not in websocket.scope["subprotocols"]:
            await websocket.accept()
            await websocket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
            return False
        await websocket.accept(PROTOCOL)
        return True

    def _may_connect(self, headers: Mapping[str, str]) -> bool:
        """Browsers ask nobody before they open a WebSocket to another origin, so it is seen to here."""
        origin = headers.get("origin")
        if origin is None or "*" in self._allowed_origins:
            return True
        if is_same_origin(origin, headers.get("host")) or normalize_origin(origin) in self._allowed_origins:
            return True
        log_refused(origin)
        return False

    def leave(self) -> None:
        """Send everyone elsewhere, and whoever still comes. A `complete` would have clients think that their streams
        are at their ends.
        """
        self._are_leaving = True
        for socket in tuple(self._open):
            socket.leave(Close(CloseCode.GOING_AWAY, LEAVING))

    async def wait_closed(self) -> None:
        """Wait until the closes are sent, but not long."""
        tasks = [socket.task for socket in self._open if socket.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_SECONDS)


class Socket:
    """One connection, from its acceptance to its end."""

    __slots__ = (
        "__weakref__",
        "_caller",
        "_deadline",
        "_ending",
        "_operations",
        "_place",
        "_receive_message",
        "_scope",
        "_send_message",
        "_settings",
        "_state",
        "line",
        "task",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.task = asyncio.current_task()
        self.line = Line(receive)
        self._scope = scope
        self._receive_message = receive
        self._send_message = send
        self._state = State.of(HTTPConnection(scope))
        self._settings = self._state.resources.settings
        self._caller: Caller | None = None
        self._operations: dict[str, asyncio.Task[None] | Following] = {}
        self._ending = Close(CloseCode.CONNECTION_INITIALISATION_TIMEOUT, "Connection initialisation timeout")
        self._deadline = asyncio.timeout(self._settings.init_timeout_seconds)
        self._place: Place | None = None

    async def serve(self) -> None:
        ending: Close | None = None
        try:
            async with self._deadline:
                while True:
                    await self._handle(await self._receive())
        except Close as close:
            ending = close
        except TimeoutError:
            assert self._deadline.expired()
            ending = self._ending
        except WebSocketDisconnect:
            pass
        finally:
            if self._place is not None:
                self._place.give_back()
            tasks = self._cancel_all()
            await asyncio.gather(*tasks, return_exceptions=True)
            if ending is not None:
                await self._close(ending)

    def leave(self, ending: Close) -> None:
        """End the connection soon, from wherever this is called. Nothing more is sent before the close."""
        self._ending = ending
        self._cancel_all()
        with suppress(RuntimeError):  # it ends already
            self._deadline.reschedule(asyncio.get_running_loop().time())

    def _cancel_all(self) -> list[asyncio.Task[None]]:
        """End all operations; returns the tasks among them."""
        for operation in self._operations.values():
            operation.cancel()
        return [operation for operation in self._operations.values() if isinstance(operation, asyncio.Task)]

    async def _receive(self) -> Message:
        received = await self._receive_message()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        text = received.get("text")
        if text is None:
            raise Close(CloseCode.BAD_REQUEST, "Messages must be text")
        if len(text.encode()) > self._settings.max_message_bytes:
            raise Close(
                CloseCode.TOO_BIG, f"Messages of more than {self._settings.max_message_bytes} bytes are not allowed"
            )
        try:
            message: Message = decode(text, Message)
        except Malformed as error:
            raise Close(CloseCode.BAD_REQUEST, f"Invalid message: {error}") from None
        return message

    async def _handle(self, message: Message) -> None:
        match message:
            case ConnectionInit(payload):
                await self._init(payload or {})
            case Ping(payload):
                await self.send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case Pong():
                pass
            case Subscribe(id, parameters):
                await self._subscribe(id, parameters)
            case Complete(id):
                operation = self._operations.pop(id, None)
                if operation is not None:
                    operation.cancel()
            case _:
                assert_never(message)

    async def _init(self, payload: Mapping[str, Any]) -> None:
        if self._caller is not None:
            raise Close(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        header = _authorization(payload) or HTTPConnection(self._scope).headers.get("authorization")
        try:
            caller = await self._state.authenticator.caller(header)
            self._place = self._state.connections.take(caller.user_id)
        except Unauthenticated as error:
            raise Close(CloseCode.FORBIDDEN, f"Forbidden: {error}") from None
        except (KeysUnavailable, Full) as error:
            raise Close(CloseCode.TRY_AGAIN_LATER, str(error)) from None
        self._caller = caller
        self._ending = Close(CloseCode.FORBIDDEN, "Forbidden: the token has expired; connect again with a new one")
        left = None if caller.expires_at is None else caller.expires_at - time.time()
        self._deadline.reschedule(None if left is None else asyncio.get_running_loop().time() + left)
        await self.send({"type": "connection_ack"})

    async def _subscribe(self, operation_id: str, parameters: Parameters) -> None:
        if self._caller is None:
            raise Close(CloseCode.UNAUTHORIZED, "Unauthorized")
        if operation_id in self._operations:
            raise Close(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation_id} already exists")
        if len(self._operations) >= self._settings.max_subscriptions_per_connection:
            limit = f"{self._settings.max_subscriptions_per_connection} operations are allowed on one connection"
            await self.send(_error(operation_id, api_error(ErrorCode.QUERY_TOO_COMPLEX, f"No more than {limit}.")))
            return
        try:
            operation = operation_of(parameters, self._state.persisted, self._state.limits)
        except Malformed as error:
            raise Close(CloseCode.BAD_REQUEST, f"Invalid message: {error}") from None
        except Refused as refused:
            await self.send(_error(operation_id, *refused.errors))
            return
        self._operations[operation_id] = asyncio.create_task(self._run(operation_id, operation, self._caller))

    async def _run(self, operation_id: str, operation: Operation, caller: Caller) -> None:
        try:
            last = await self._perform(operation_id, operation, caller)
            if last is not None:
                await self.end(operation_id, last)
        except Close as close:
            self.leave(close)
        except WebSocketDisconnect:
            pass

    async def _perform(self, operation_id: str, operation: Operation, caller: Caller) -> dict[str, Any] | None:
        """Send an operation's result, or begin to; returns the message that ends it, unless it goes on."""
        context = self._state.context(HTTPConnection(self._scope), caller)
        try:
            if operation.type is OperationType.SUBSCRIPTION:
                await self._follow(operation_id, operation, context)
                return None
            result = await operations.execute(operation, context, self._settings.request_timeout_seconds)
            await self.send({"id": operation_id, "type": "next", "payload": result})
        except Refused as refused:
            return _error(operation_id, *refused.errors)
        except Full as full:
            return _error(operation_id, api_error(ErrorCode.QUERY_TOO_COMPLEX, str(full)))
        except (Close, WebSocketDisconnect):
            raise
        except Exception as fault:  # the client learns of it, and its other operations go on
            return _error(operation_id, internal(fault))
        return {"id": operation_id, "type": "complete"}

    async def _follow(self, operation_id: str, operation: Operation, context: Context) -> None:
        subscribed, place = await subscribe(self._state, operation, context)
        following = Following(self, operation_id, subscribed, place)
        try:
            await follow(self._state.resources, self._state.feeds, subscribed, following)
        except BaseException:
            following.cancel()
            raise
        # From now on the feed does the work, and this task is no longer needed.
        self._operations[operation_id] = following

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.send_text(encode(message).decode())

    async def send_text(self, text: str) -> None:
        """Send a message, as there is room; raises `Close` if the client does not read."""
        try:
            async with asyncio.timeout(self._settings.slow_client_seconds):
                await self._send_message({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise _not_reading() from None
        except (RuntimeError, OSError) as error:  # the connection was closed from below
            raise WebSocketDisconnect(1006) from error

    async def end(self, operation_id: str, last: Mapping[str, Any]) -> None:
        """Send the message that ends an operation. From now on the operation_id may be used again."""
        self._operations.pop(operation_id, None)
        await self.send(last)

    async def _close(self, ending: Close) -> None:
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._send_message({"type": "websocket.close", "code": ending.code, "reason": ending.reason})
        except (TimeoutError, RuntimeError, OSError):
            self.line.abort()
        else:
            asyncio.get_running_loop().call_later(LINGERING_SECONDS, self.line.abort)


class Following(Outlet):
    """A subscription on a connection, which follows a feed."""

    __slots__ = ("_id", "_next", "_place", "_socket")

    def __init__(self, socket: Socket, operation_id: str, subscribed: Subscribed, place: Place) -> None:
        self._next: Next = next_of(operation_id)
        super().__init__(self._next, subscribed.topic.after if isinstance(subscribed.topic, OfRequest) else 0)
        self.line = socket.line
        self._id = operation_id
        self._socket = socket
        self._place = place

    def cancel(self) -> None:
        self.leave()
        self.close()
        self._place.give_back()

    async def send(self, told: Told) -> None:
        await self._safely(self._socket.send_text(self._next.message(told.body).decode()))

    async def finish(self, fault: Exception | None) -> None:
        self.leave()
        self._place.give_back()
        last = {"id": self._id, "type": "complete"} if fault is None else _error(self._id, internal(fault))
        await self._safely(self._socket.end(self._id, last))

    async def _safely(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except Close as close:
            self._socket.leave(close)
        except WebSocketDisconnect:
            pass  # the connection's own task learns of it

    def cut_off(self) -> None:
        self._socket.leave(_not_reading())


def _not_reading() -> Close:
    # One for each client: an exception keeps the frames through which it was raised.
    return Close(CloseCode.TRY_AGAIN_LATER, "You do not read; come back with your cursor")


def _error(operation_id: str, *errors: GraphQLError) -> dict[str, Any]:
    return {"id": operation_id, "type": "error", "payload": answer(errors)["errors"]}


def _authorization(parameters: Mapping[str, object]) -> str | None:
    """The token of `connection_init`: under `authorization`, as in HTTP, with or without `Bearer`."""
    for name, value in parameters.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value if value.lower().startswith("bearer ") else f"Bearer {value}"
    return None
