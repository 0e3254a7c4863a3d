"""What Subscription does: say what is followed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, cast

import strawberry
from strawberry import argument

from db.queries import owner_of_request
from events.clock import utc_now
from events.follow import OfRequest, OfUser, Topic
from resolvers.context import Info
from schema.errors import ErrorCode, api_error
from schema.events import RequestEvent
from schema.types import known_up_to

Events = AsyncGenerator[RequestEvent, None]


class Source:
    """What a subscription follows. It is not iterated: a feed tells the events, to all alike who follow the same."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic

    def __aiter__(self) -> AsyncIterator[RequestEvent]:
        raise NotImplementedError


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
        after = known_up_to(after_sequence)
        if await owner_of_request(context.database, request_id) != context.caller.user_id:
            raise api_error(ErrorCode.NOT_FOUND, "There is no such request.")
        return cast("Events", Source(OfRequest(request_id, after)))

    @strawberry.subscription(description="Live events of all the caller's requests, from now on.")
    async def events(self, info: Info) -> AsyncGenerator[RequestEvent, None]:
        return cast("Events", Source(OfUser(info.context.caller.user_id, utc_now())))
