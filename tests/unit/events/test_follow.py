"""Following a stream through every kind of mishap of the broadcasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.follow import CLOCK_SKEW, follow_request, follow_user
from events.hub import QUEUE_LIMIT, End, Head, Hub
from events.status import RequestStatus
from events.types import RequestEvent, TaskUpdated

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
PENDING = TaskUpdated(RequestStatus.IMAGE_PENDING, RequestStatus.IMAGE_PENDING.phase)
REQUESTS = ("req_a", "req_b")


@dataclass
class World:
    """Rows of a user's requests, with a clock, and broadcasts of them that are on their way."""

    hub: Hub = field(default_factory=Hub)
    rows: dict[str, list[RequestEvent]] = field(default_factory=lambda: {name: [] for name in REQUESTS})
    under_way: list[RequestEvent] = field(default_factory=list)
    clock: datetime = BEGINNING
    page: int = 3

    def write(self, request_id: str = REQUESTS[0]) -> RequestEvent:
        rows = self.rows[request_id]
        event = RequestEvent(request_id, "ann", len(rows) + 1, self.clock, PENDING)
        rows.append(event)
        self.under_way.append(event)
        return event

    async def read(self, request_id: str, after: int) -> list[RequestEvent]:
        page = self.rows[request_id][after : after + self.page]
        await asyncio.sleep(0)
        return page

    def show_heads(self) -> None:
        heads = {name: Head(len(rows), rows[-1].occurred_at) for name, rows in self.rows.items() if rows}
        self.hub.show_request_heads(heads)
        self.hub.show_user_heads("ann", heads)


class Follower:
    """A client that keeps what it is told."""

    def __init__(self, world: World, stream: AsyncGenerator[RequestEvent, None]) -> None:
        self.told: list[RequestEvent] = []
        self.task = asyncio.create_task(self._follow(stream))

    async def _follow(self, stream: AsyncGenerator[RequestEvent, None]) -> None:
        async for event in stream:
            self.told.append(event)


async def settle() -> None:
    """Let every task go as far as it gets."""
    for _ in range(60):
        await asyncio.sleep(0)


# What may happen, in any order. The number says to which request, or to which broadcast, or for how long.
steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "deliver", "drop", "repeat", "heads", "turn", "join", "wait", "wait"]),
        st.integers(0, 7),
    ),
    max_size=60,
)


def play(world: World, step: str, number: int) -> None:
    waiting = world.under_way
    match step:
        case "write":
            world.write(REQUESTS[number % 2])
        case "deliver" if waiting:
            world.hub.publish(waiting.pop(number % len(waiting)))
        case "repeat" if waiting:
            world.hub.publish(waiting[number % len(waiting)])
        case "drop" if waiting:
            waiting.pop(number % len(waiting))
        case "heads":
            world.show_heads()
        case "wait":
            world.clock += timedelta(seconds=(0.001, 0.1, 1, 3, 10, 30, 60, 600)[number])


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(0, 5))
def test_every_event_of_a_request_comes_once_and_in_order(script: list[tuple[str, int]], cursor: int):
    async def run() -> None:
        world, followers = World(), []
        for step, number in script:
            if step == "join":
                stream = follow_request(world.hub, REQUESTS[0], number, world.read)
                followers.append((number, Follower(world, stream)))
            elif step == "turn":
                await asyncio.sleep(0)
            play(world, step, number)
        stream = follow_request(world.hub, REQUESTS[0], cursor, world.read)
        followers.append((cursor, Follower(world, stream)))
        await settle()
        world.show_heads()
        await settle()
        world.hub.end_request(REQUESTS[0])
        for after, follower in followers:
            await asyncio.wait_for(follower.task, 1)
            assert [event.sequence for event in follower.told] == list(
                range(after + 1, len(world.rows[REQUESTS[0]]) + 1)
            )
        assert world.hub.request_ids == []

    asyncio.run(run())


# A broadcast of the first event, from long before the subscription, comes after it.
LATE = [("write", 0), ("write", 0), ("wait", 7), ("join", 0), ("deliver", 0), ("turn", 0), ("write", 0), ("deliver", 1)]


@settings(max_examples=300, deadline=None)
@example(LATE)
@given(steps)
def test_every_new_event_of_a_user_comes_once_and_in_order(script: list[tuple[str, int]]):
    async def run() -> None:
        world, followers = World(), []
        for step, number in script:
            if step == "join":
                heads = {request_id: len(rows) for request_id, rows in world.rows.items()}
                stream = follow_user(world.hub, "ann", world.clock, world.read)
                followers.append((heads, world.clock, Follower(world, stream)))
                # It is the subscription that counts, and it is made with the first step of the stream.
                await asyncio.sleep(0)
            elif step == "turn":
                await asyncio.sleep(0)
            play(world, step, number)
        await settle()
        world.show_heads()
        await settle()
        world.hub.close()
        for heads, since, follower in followers:
            await asyncio.wait_for(follower.task, 1)
            for request_id, rows in world.rows.items():
                told = [event.sequence for event in follower.told if event.request_id == request_id]
                assert told == sorted(set(told))
                assert set(range(heads[request_id] + 1, len(rows) + 1)) <= set(told), "missed"
                # The clocks of two processes differ a little, so what is a moment older may be told as well.
                assert all(rows[sequence - 1].occurred_at >= since - CLOCK_SKEW for sequence in told), "too old"
                assert told == list(range(told[0], len(rows) + 1)) if told else True
        assert world.hub.user_ids == []

    asyncio.run(run())


async def test_a_follower_hears_at_once_without_the_rows():
    world = World()
    follower = Follower(world, follow_request(world.hub, REQUESTS[0], 0, world.read))
    await settle()

    async def no_read(request_id: str, after: int) -> list[RequestEvent]:
        raise AssertionError("the rows were read")

    live = Follower(world, follow_user(world.hub, "ann", world.clock, no_read))
    await settle()
    for _ in range(3):
        world.hub.publish(world.write())
    await settle()
    assert [event.sequence for event in follower.told] == [event.sequence for event in live.told] == [1, 2, 3]
    world.hub.close()
    await follower.task
    await live.task


async def test_a_live_event_counts_though_its_clock_is_behind():
    world = World()
    world.write()
    follower = Follower(world, follow_user(world.hub, "ann", world.clock + CLOCK_SKEW / 2, world.read))
    await settle()
    world.hub.publish(world.write())
    await settle()
    assert [event.sequence for event in follower.told] == [2]
    world.hub.close()
    await follower.task


async def test_other_users_and_requests_are_not_heard():
    world = World()
    stranger = Follower(world, follow_user(world.hub, "ben", world.clock, world.read))
    other = Follower(world, follow_request(world.hub, REQUESTS[1], 0, world.read))
    await settle()
    world.hub.publish(world.write(REQUESTS[0]))
    world.show_heads()
    await settle()
    assert stranger.told == other.told == []
    world.hub.close()
    await asyncio.gather(stranger.task, other.task)


async def test_one_who_falls_behind_keeps_little_and_catches_up_from_the_rows():
    world = World(page=10_000)
    proceed = asyncio.Event()

    async def slow() -> list[int]:
        seen = []
        async for event in follow_request(world.hub, REQUESTS[0], 0, world.read):
            seen.append(event.sequence)
            await proceed.wait()
        return seen

    sleeper = asyncio.create_task(slow())
    await settle()
    for _ in range(3 * QUEUE_LIMIT):
        world.hub.publish(world.write())
        [subscription] = world.hub._requests[REQUESTS[0]]
        assert subscription._queue.qsize() <= QUEUE_LIMIT
    proceed.set()
    await settle()
    world.show_heads()
    await settle()
    world.hub.end_request(REQUESTS[0])
    assert await asyncio.wait_for(sleeper, 1) == list(range(1, 3 * QUEUE_LIMIT + 1))


async def test_an_end_is_heard_though_the_queue_is_full():
    world = World()
    with world.hub.follow_request(REQUESTS[0]) as subscription:
        for _ in range(2 * QUEUE_LIMIT):
            world.hub.publish(world.write())
        world.hub.end_request(REQUESTS[0])
        signals = [await subscription.get() for _ in range(QUEUE_LIMIT)]
    assert signals[-1] == End()


@pytest.mark.parametrize("end", ["deleted", "shutdown", "left"])
async def test_streams_end(end: str):
    world = World()
    follower = Follower(world, follow_request(world.hub, REQUESTS[0], 0, world.read))
    user = Follower(world, follow_user(world.hub, "ann", world.clock, world.read))
    await settle()
    world.hub.publish(world.write())
    match end:
        case "deleted":
            world.hub.end_request(REQUESTS[0])
        case "shutdown":
            world.hub.close()
        case "left":
            await settle()
            follower.task.cancel()
    await asyncio.wait([follower.task], timeout=1)
    assert follower.task.done()
    await settle()
    assert world.hub.request_ids == []
    assert user.task.done() == (end == "shutdown"), "a deleted request ends its own streams only"
    assert [event.sequence for event in follower.told] == [1]
    world.hub.close()
    await asyncio.wait_for(user.task, 1)


async def test_after_the_shutdown_a_new_stream_gives_the_rows_and_ends():
    world = World()
    world.write()
    world.hub.close()
    follower = Follower(world, follow_request(world.hub, REQUESTS[0], 0, world.read))
    await asyncio.wait_for(follower.task, 1)
    assert [event.sequence for event in follower.told] == [1]
    with world.hub.follow_user("ann") as subscription:
        assert await subscription.get() == End()


async def test_a_database_that_is_away_ends_the_stream_with_its_error():
    world = World()

    async def fail(request_id: str, after: int) -> list[RequestEvent]:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await anext(follow_request(world.hub, REQUESTS[0], 0, fail))
    assert world.hub.request_ids == []


async def test_requests_that_rest_are_not_read_when_a_stream_of_all_is_shown_the_heads():
    """Else a user with many requests would hear nothing new while they are read, one after another."""
    world = World()
    world.write(REQUESTS[0])
    world.clock += timedelta(seconds=1)
    read: list[str] = []

    async def reading(request_id: str, after: int) -> list[RequestEvent]:
        read.append(request_id)
        return await world.read(request_id, after)

    follower = Follower(world, follow_user(world.hub, "ann", world.clock, reading))
    await settle()
    world.write(REQUESTS[1])
    world.show_heads()
    await settle()
    follower.task.cancel()
    assert set(read) == {REQUESTS[1]}
    assert [event.request_id for event in follower.told] == [REQUESTS[1]]
