"""The plain SSE streams, for those who cannot hold a WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from db.queries import owner_of_request
from events.clock import utc_now
from events.follow import OfRequest, OfUser, Topic
from events.types import RequestEvent, payload
from resolvers.operations import Subscribed
from schema.context import Caller
from server.authentication import Unauthenticated
from server.framing import PLAIN_EVENTS, encode
from server.places import Full
from server.state import FileUrls, State
from server.streaming import Stream

LARGEST_CURSOR = 2**31 - 1
CURSOR_LENGTH = 20


class Endpoint:
    """A route's application: for a function, Starlette keeps some more for as long as the stream lasts."""

    def __init__(self, answer: Callable[[Request], Awaitable[ASGIApp]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


async def request_events(request: Request) -> ASGIApp:
    """`GET /requests/{id}/events`: every event of one request after the cursor, then live."""
    state = State.of(request)
    request_id = request.path_params["id"]
    token = request.query_params.get("token")
    expires_at = state.links.opens_events(token, request_id) if token is not None else None
    try:
        caller = await state.caller(request) if expires_at is None else None
    except Unauthenticated:
        if token is None or "authorization" in request.headers:
            raise
        raise Unauthenticated(
            "The token in this URL has expired, or is not for this stream: ask for `eventsUrl` again."
        ) from None
    owner = await owner_of_request(state.resources.database, request_id)
    if owner is None or (caller is not None and owner != caller.user_id):
        raise HTTPException(404, "There is no such request.")
    topic = OfRequest(request_id, _cursor(request))
    return _response(request, topic, caller or Caller(owner, is_operator=False, expires_at=expires_at))


async def events(request: Request) -> ASGIApp:
    """`GET /events`: live events of all the caller's requests."""
    state = State.of(request)
    caller = await state.caller(request)
    return _response(request, OfUser(caller.user_id, utc_now()), caller)


def _cursor(request: Request) -> int:
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= CURSOR_LENGTH and int(text) <= LARGEST_CURSOR):
        raise HTTPException(400, "The cursor must be the number of an event: the `id:` that came last.")
    return int(text)


def _response(request: Request, topic: Topic, caller: Caller) -> ASGIApp:
    state = State.of(request)
    try:
        place = state.subscriptions.take(caller.user_id)
    except Full as full:
        raise HTTPException(429, str(full), {"Retry-After": "5"}) from None
    url_of = FileUrls(state, request)

    async def tell(event: RequestEvent) -> bytes:
        cursor = b"id: %d\n" % event.sequence if isinstance(topic, OfRequest) else b""
        data = encode(await payload(event, url_of))
        return b"%bevent: %b\ndata: %b\n\n" % (cursor, event.name.encode(), data)

    # Who may read a request is its owner, so that what is told is the same for all who do.
    key = (topic.request_id, url_of) if isinstance(topic, OfRequest) else None
    return Stream(state, Subscribed(topic, key, tell), caller, place, PLAIN_EVENTS, b"")
