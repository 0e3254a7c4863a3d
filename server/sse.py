"""The plain SSE streams, for those who cannot hold a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from db.log import read_events
from db.queries import owner_of_request
from db.session import is_unavailable
from events.clock import utc_now
from events.follow import follow_request, follow_user
from events.types import RequestEvent, UrlOf, payload
from server.framing import SSE_PULSE, encode
from server.places import Full, Places
from server.state import State
from server.streaming import Stream
from server.transport import aborter

RETRY_MILLISECONDS = 2000
LARGEST_CURSOR = 2**31 - 1

log = structlog.get_logger(__name__)


async def request_events(request: Request) -> Response:
    """`GET /requests/{id}/events`: every event of one request after the cursor, then live."""
    state = State.of(request)
    request_id = request.path_params["id"]
    token = request.query_params.get("token")
    expires_at = state.links.opens_events(token, request_id) if token is not None else None
    caller = await state.caller(request) if expires_at is None else None
    owner = await owner_of_request(state.resources.database, request_id)
    if owner is None or (caller is not None and owner != caller.user_id):
        raise HTTPException(404, "There is no such request.")
    after = _cursor(request)
    read = partial(read_events, state.resources.database)
    events = follow_request(state.resources.hub, request_id, after, read, aborter(request.receive))
    return _response(request, events, owner, caller.expires_at if caller else expires_at, numbered=True)


async def events(request: Request) -> Response:
    """`GET /events`: live events of all the caller's requests."""
    state = State.of(request)
    caller = await state.caller(request)
    read = partial(read_events, state.resources.database)
    events = follow_user(state.resources.hub, caller.user_id, utc_now(), read, aborter(request.receive))
    return _response(request, events, caller.user_id, caller.expires_at, numbered=False)


def _cursor(request: Request) -> int:
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= LARGEST_CURSOR):
        raise HTTPException(400, "The cursor must be the number of an event: the `id:` that came last.")
    return int(text)


def _response(
    request: Request,
    events: AsyncGenerator[RequestEvent, None],
    user_id: str,
    expires_at: float | None,
    *,
    numbered: bool,
) -> Response:
    state = State.of(request)
    try:
        state.subscriptions.check(user_id)
    except Full as full:
        raise HTTPException(429, str(full), {"Retry-After": "5"}) from None
    frames = _frames(events, state.url_of(request), state.subscriptions, user_id, numbered=numbered)
    slow_seconds = state.resources.settings.slow_client_seconds
    return Stream(frames, "text/event-stream; charset=utf-8", SSE_PULSE, slow_seconds, expires_at)


async def _frames(
    events: AsyncGenerator[RequestEvent, None], url_of: UrlOf, places: Places, user_id: str, *, numbered: bool
) -> AsyncGenerator[str, None]:
    with places.taken(user_id):
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        try:
            async with aclosing(events):
                async for event in events:
                    cursor = f"id: {event.sequence}\n" if numbered else ""
                    yield f"{cursor}event: {event.name}\ndata: {encode(await payload(event, url_of))}\n\n"
        except Exception as error:
            if not is_unavailable(error):
                raise
            # The client comes back with its cursor.
            log.warning("a stream was ended: the database is away", error=str(error))
