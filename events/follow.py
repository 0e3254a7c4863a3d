"""Following a stream: subscribe first, replay the rows after the cursor, then live; at any doubt, back to the rows."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from events.clock import utc_now
from events.hub import End, Heads, Hub
from events.types import RequestEvent

ReadEvents = Callable[[str, int], Awaitable[list[RequestEvent]]]
"""Reads the events of one request after a sequence, oldest first: a page of them, empty when there are no more."""


@dataclass(frozen=True, slots=True)
class OfRequest:
    """All events of one request after a sequence."""

    request_id: str
    after: int


@dataclass(frozen=True, slots=True)
class OfUser:
    """The events of all of a user's requests from a moment on."""

    user_id: str
    since: datetime


Topic = OfRequest | OfUser
CLOCK_SKEW = timedelta(seconds=5)
"""How far the clocks of two processes may differ."""


async def follow_request(hub: Hub, request_id: str, after: int, read: ReadEvents) -> AsyncGenerator[RequestEvent, None]:
    """Every event of a request after `after`, once and in order, until the request is deleted or the process stops."""
    with hub.follow_request(request_id) as subscription:
        cursor = after
        async for event in _rows(request_id, cursor, read):
            cursor = event.sequence
            yield event
        while True:
            match await subscription.get():
                case RequestEvent() as event if event.sequence == cursor + 1:
                    cursor = event.sequence
                    yield event
                case RequestEvent(sequence=sequence) if sequence <= cursor:
                    continue
                case Heads(heads) if heads[request_id].sequence <= cursor:
                    continue
                case RequestEvent() | Heads():
                    async for event in _rows(request_id, cursor, read):
                        cursor = event.sequence
                        yield event
                case End():
                    return
                case never:
                    assert_never(never)


async def follow_user(hub: Hub, user_id: str, since: datetime, read: ReadEvents) -> AsyncGenerator[RequestEvent, None]:
    """Every event that a user's requests have from `since` on, in order within each request."""
    cursors: dict[str, int] = {}
    begun: set[str] = set()

    def is_new(event: RequestEvent, *, live: bool) -> bool:
        # What came before the subscription is not told, a broadcast of it that comes late neither. A live event is,
        # though the clock of the process that wrote it may be behind, or was set back since the stream began; and so
        # is all that follows on one that was.
        if event.request_id not in begun:
            if event.occurred_at < (min(since, utc_now()) - CLOCK_SKEW if live else since):
                return False
            begun.add(event.request_id)
        return True

    async def missed(request_id: str, live: float = math.inf) -> AsyncGenerator[RequestEvent, None]:
        async for event in _rows(request_id, cursors.get(request_id, 0), read):
            cursors[request_id] = event.sequence
            if is_new(event, live=event.sequence >= live):
                yield event

    with hub.follow_user(user_id) as subscription:
        while True:
            match await subscription.get():
                case RequestEvent(request_id=request_id, sequence=sequence) as event if (
                    sequence == cursors.get(request_id, 0) + 1
                ):
                    cursors[request_id] = sequence
                    if is_new(event, live=True):
                        yield event
                case RequestEvent(request_id=request_id, sequence=sequence) if sequence <= cursors.get(request_id, 0):
                    continue
                case RequestEvent(request_id=request_id, sequence=sequence):
                    async for event in missed(request_id, sequence):
                        yield event
                case Heads(heads):
                    for request_id, head in heads.items():
                        # What rests since before the subscription has nothing to tell.
                        is_concerned = request_id in cursors or head.occurred_at >= since
                        if is_concerned and head.sequence > cursors.get(request_id, 0):
                            async for event in missed(request_id):
                                yield event
                case End():
                    return
                case never:
                    assert_never(never)


async def _rows(request_id: str, after: int, read: ReadEvents) -> AsyncGenerator[RequestEvent, None]:
    while page := await read(request_id, after):
        for event in page:
            yield event
        after = page[-1].sequence
