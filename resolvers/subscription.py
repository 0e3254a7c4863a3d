"""What Subscription does: follow a stream of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated

import strawberry
from strawberry import argument

from db.log import read_events
from db.queries import owner_of_request
from events import types as log
from events.clock import utc_now
from events.follow import follow_request, follow_user
from resolvers.context import Info
from schema.errors import ErrorCode, api_error, bad_input
from schema.events import RequestEvent, event_of


async def _told(events: AsyncGenerator[log.RequestEvent, None]) -> AsyncGenerator[RequestEvent, None]:
    async with aclosing(events):
        async for event in events:
            yield event_of(event)


@strawberry.type(description="What can be followed live.")
class Subscription:
    @strawberry.subscription(
        description="Every event of one request: those stored after `afterSequence` first, then live ones; "
        "each once, in order."
    )
    async def request_events(
        self,
        info: Info,
        request_id: Annotated[strawberry.ID, argument(description="The request.")],
        after_sequence: Annotated[int | None, argument(description="The last one that is known already.")] = 0,
    ) -> AsyncGenerator[RequestEvent, None]:
        context = info.context
        after = after_sequence or 0
        if after < 0:
            raise bad_input("`afterSequence` must not be negative.")
        if await owner_of_request(context.database, request_id) != context.caller.user_id:
            raise api_error(ErrorCode.NOT_FOUND, "There is no such request.")
        read = partial(read_events, context.database)
        return _told(follow_request(context.resources.hub, request_id, after, read, context.cut_off))

    @strawberry.subscription(description="Live events of all the caller's requests, from now on.")
    async def events(self, info: Info) -> AsyncGenerator[RequestEvent, None]:
        context = info.context
        read = partial(read_events, context.database)
        return _told(follow_user(context.resources.hub, context.caller.user_id, utc_now(), read, context.cut_off))
