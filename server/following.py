"""From what a subscriber asks for to the feed that tells it."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from db.log import RowHeads, read_events
from events.feed import Feed, Feeds, Member
from events.follow import OfRequest, OfUser, follow_request, follow_user
from events.types import RequestEvent
from resolvers import operations
from resolvers.context import Context
from resolvers.operations import Operation, Subscribed
from server.places import Place
from server.state import State
from tasks.resources import Resources


async def subscribe(state: State, operation: Operation, context: Context) -> tuple[Subscribed, Place]:
    """Begin a subscription, in a place of the caller's; raises `Full` and `Refused`."""
    place = state.subscriptions.take(context.caller.user_id)
    try:
        return await operations.subscribe(operation, context), place
    except BaseException:
        place.give_back()
        raise


async def follow(resources: Resources, feeds: Feeds, subscribed: Subscribed, member: Member) -> None:
    """Have a member follow: returns once it has what is stored, and is told the rest live."""
    read = partial(read_events, resources.database)
    match subscribed.topic:
        case OfRequest(request_id):
            feed = feeds.get(subscribed.key) or await _begun(resources, feeds, subscribed, request_id)
            await feed.join(member, partial(read, request_id))
        case OfUser(user_id, since):
            # Everyone's begins at its own moment, so these are not shared.
            source = follow_user(resources.hub, user_id, since, read)
            await Feed(source, subscribed.tell, resources.calls).join(member, _nothing)
        case _:
            assert_never(subscribed.topic)


async def _begun(resources: Resources, feeds: Feeds, subscribed: Subscribed, request_id: str) -> Feed:
    """A new feed, from the newest event on: what came before, each member reads for itself, as fast as it can."""
    heads = await RowHeads(resources.database).heads([request_id])
    # Another may have begun it meanwhile.
    feed = feeds.get(subscribed.key)
    if feed is None:
        head = heads[request_id].sequence if request_id in heads else 0
        source = follow_request(resources.hub, request_id, head, partial(read_events, resources.database))
        feed = feeds.keep(subscribed.key, Feed(source, subscribed.tell, resources.calls, head))
    return feed


async def _nothing(_: int) -> list[RequestEvent]:
    return []
