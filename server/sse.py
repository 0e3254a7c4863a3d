"""The plain SSE streams, for those who cannot hold a WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from db.log import read_events
from db.queries import owner_of_request
from events.clock import utc_now
from events.follow import follow_request, follow_user
from events.types import RequestEvent, UrlOf, payload
from server.state import State

HEARTBEAT_SECONDS = 15
RETRY_MILLISECONDS = 2000
# The hub ends the streams when the server stops; the library would break them off in the middle.
AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # the library leaves it untyped
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is cut off."""
HEADERS = {"Cache-Control": "no-cache, no-transform"}
LARGEST_CURSOR = 2**31 - 1


async def request_events(request: Request) -> Response:
    """`GET /requests/{id}/events`: every event of one request after the cursor, then live."""
    state = State.of(request)
    request_id = request.path_params["id"]
    token = request.query_params.get("token")
    owner = await owner_of_request(state.resources.database, request_id)
    if token is None or not state.links.opens_events(token, request_id):
        caller = await state.caller(request)
        if owner != caller.user_id:
            raise HTTPException(404, "There is no such request.")
    if owner is None:
        raise HTTPException(404, "There is no such request.")
    after = _cursor(request)
    read = partial(read_events, state.resources.database)
    return _response(
        request, lambda cut_off: follow_request(state.resources.hub, request_id, after, read, cut_off), numbered=True
    )


async def events(request: Request) -> Response:
    """`GET /events`: live events of all the caller's requests."""
    state = State.of(request)
    caller = await state.caller(request)
    read = partial(read_events, state.resources.database)
    return _response(
        request,
        lambda cut_off: follow_user(state.resources.hub, caller.user_id, utc_now(), read, cut_off),
        numbered=False,
    )


def _cursor(request: Request) -> int:
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= LARGEST_CURSOR):
        raise HTTPException(400, "The cursor must be the number of an event: the `id:` that came last.")
    return int(text)


def _response(
    request: Request, follow: Callable[[Callable[[], None]], AsyncIterator[RequestEvent]], *, numbered: bool
) -> Response:
    url_of = State.of(request).url_of(request)
    return EventSourceResponse(
        _frames(follow, url_of, numbered=numbered),
        headers=HEADERS,
        ping=HEARTBEAT_SECONDS,
        sep="\n",
        send_timeout=SEND_SECONDS,
    )


async def _frames(
    follow: Callable[[Callable[[], None]], AsyncIterator[RequestEvent]], url_of: UrlOf, *, numbered: bool
) -> AsyncIterator[ServerSentEvent]:
    # A client that does not read is cut off by the time that a send may take.
    yield ServerSentEvent(retry=RETRY_MILLISECONDS, sep="\n")
    async for event in follow(lambda: None):
        yield ServerSentEvent(
            data=json.dumps(await payload(event, url_of), ensure_ascii=False, separators=(",", ":")),
            event=event.name,
            id=str(event.sequence) if numbered else None,
            sep="\n",
        )
