"""A feed and its members, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import feed as feed_module
from events.calls import PATIENCE_SECONDS, Calls
from events.feed import COURTESY_SECONDS, IN_A_ROW, SLICE, STRIDE, Batch, Feed, Feeds, Member, Told
from events.follow import follow_request
from events.hub import Head, Hub
from events.types import RequestEvent
from tests.unit.events.test_follow import BEGINNING, PENDING, settle
from tests.waiting import until

REQUEST = "req_a"


class Lines:
    def wire(self, told: Sequence[Told]) -> bytes:
        return b"".join(one.body + b"\n" for one in told)


LINES = Lines()


@dataclass
class World:
    """Rows, broadcasts of them that are on their way, and a feed."""

    hub: Hub = field(default_factory=Hub)
    rows: list[RequestEvent] = field(default_factory=list)
    under_way: list[RequestEvent] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    calls: Calls = field(default_factory=Calls)
    feed: Feed | None = None

    def write(self) -> None:
        event = RequestEvent(REQUEST, "ann", len(self.rows) + 1, BEGINNING, PENDING)
        self.rows.append(event)
        self.under_way.append(event)

    async def read(self, request_id: str, after: int) -> list[RequestEvent]:
        page = self.rows[after : after + 3]
        await asyncio.sleep(0)
        return page

    async def tell(self, event: RequestEvent) -> bytes:
        self.told.append(event.sequence)
        await asyncio.sleep(0)
        return str(event.sequence).encode()

    def shared(self) -> Feed:
        if self.feed is None or self.feed.over:
            source = follow_request(self.hub, REQUEST, len(self.rows), self.read)
            self.feed = Feed(source, self.tell, self.calls, len(self.rows))
        return self.feed


class Reader(Member):
    """Keeps what it is given. A slow one takes a turn of the loop for each event that it catches up with."""

    def __init__(self, world: World, cursor: int, *, slow: bool = False) -> None:
        super().__init__(cursor)
        self.after, self.slow = cursor, slow
        self.text = b""
        self.ended: list[Exception | None] = []
        self.world = world
        self.task = asyncio.create_task(self._join())

    async def _join(self) -> None:
        await self.world.shared().join(self, lambda after: self.world.read(REQUEST, after))

    @property
    def seen(self) -> list[int]:
        return [int(line) for line in self.text.split()]

    async def catch_up(self, told: Told) -> None:
        if self.slow:
            await asyncio.sleep(0)
        self.text += LINES.wire([told])

    def take(self, batch: Batch) -> None:
        news = batch.after(self.cursor)
        if news:
            self.text += batch.wire(LINES) if news is batch.told else LINES.wire(news)
            self.cursor = batch.last

    def end(self, fault: Exception | None) -> None:
        self.ended.append(fault)


# What may happen, in any order. The number says from where, to which broadcast, or who.
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "write", "deliver", "drop", "repeat", "heads", "turn", "join", "slow", "leave"]
        ),
        st.integers(0, 7),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps)
def test_every_member_is_given_every_event_once_and_in_order(script: list[tuple[str, int]]):
    async def run() -> None:
        world, readers = World(), []
        left: list[Reader] = []
        for step, number in script:
            waiting = world.under_way
            match step:
                case "write":
                    world.write()
                case "deliver" if waiting:
                    world.hub.publish(waiting.pop(number % len(waiting)))
                case "repeat" if waiting:
                    world.hub.publish(waiting[number % len(waiting)])
                case "drop" if waiting:
                    waiting.pop(number % len(waiting))
                case "heads":
                    world.hub.show_request_heads({REQUEST: Head(len(world.rows), BEGINNING)})
                case "turn":
                    await asyncio.sleep(0)
                case "join" | "slow":
                    readers.append(Reader(world, number, slow=step == "slow"))
                case "leave" if readers:
                    reader = readers.pop(number % len(readers))
                    reader.task.cancel()
                    reader.leave()
                    left.append(reader)
        readers.append(Reader(world, 0))
        await settle()
        world.hub.show_request_heads({REQUEST: Head(len(world.rows), BEGINNING)})
        await settle()
        assert all(reader.task.done() for reader in readers)
        # The feed may rest before the last of it.
        whole = [list(range(reader.after + 1, len(world.rows) + 1)) for reader in readers]
        await until(lambda: [reader.seen for reader in readers] == whole)
        assert all(reader.ended == [] for reader in readers)
        for reader in left:
            assert reader.seen == list(range(reader.after + 1, reader.after + 1 + len(reader.seen))), "whole so far"
        world.hub.end_request(REQUEST)
        await settle()
        assert all(reader.ended == [None] for reader in readers)
        for reader in readers:
            reader.leave()
        await settle()
        assert world.hub.request_ids == []

    asyncio.run(run())


async def test_an_event_is_told_and_framed_once_for_all():
    world = World()
    world.write()
    readers = [Reader(world, 1) for _ in range(3 * SLICE)]
    await settle()
    world.under_way.clear()
    for _ in range(3):
        world.write()
        world.hub.publish(world.under_way.pop())
    await until(lambda: all(reader.cursor == 4 for reader in readers))
    assert world.told == [2, 3, 4]
    assert {reader.text for reader in readers} == {b"2\n3\n4\n"}
    for reader in readers:
        reader.leave()


async def test_others_have_their_turn_while_many_are_written_to():
    world, turns = World(), []
    readers = [Reader(world, 0) for _ in range(10 * SLICE)]
    await settle()
    world.write()
    world.hub.publish(world.under_way.pop())
    while not all(reader.text for reader in readers):
        turns.append(sum(bool(reader.text) for reader in readers))
        await asyncio.sleep(0)
    assert max(late - early for early, late in itertools.pairwise(turns)) <= SLICE
    for reader in readers:
        reader.leave()


async def test_who_calls_the_api_is_answered_before_the_rest_is_written_to():
    world = World()
    readers = [Reader(world, 0) for _ in range(10 * SLICE)]
    await settle()
    world.write()
    with world.calls.one():
        world.hub.publish(world.under_way.pop())
        await settle()
        assert sum(bool(reader.text) for reader in readers) == SLICE
    await settle()
    assert all(reader.text for reader in readers)
    for reader in readers:
        reader.leave()


async def test_a_burst_is_spread_and_what_gathers_meanwhile_is_written_at_one_go(monkeypatch: pytest.MonkeyPatch):
    # Long rests, so that nothing hangs on a busy machine's pace, each cut short by a little.
    seconds = 0.3
    monkeypatch.setattr(feed_module, "REST", 7)
    monkeypatch.setattr(feed_module, "REST_SECONDS", seconds)

    def has_seen(reader: Reader, number: int) -> bool:
        return reader.cursor == number

    class Costly(Reader):
        def take(self, batch: Batch) -> None:
            batches.append((batch.first, batch.last))
            time.sleep(0.05)  # it is the loop that is kept busy
            super().take(batch)

    world, loop, batches = World(), asyncio.get_running_loop(), list[tuple[int, int]]()
    readers = [Costly(world, 0), *(Reader(world, 0) for _ in range(2 * STRIDE))]
    await settle()
    for number in range(1, IN_A_ROW + 1):
        world.write()
        world.hub.publish(world.under_way.pop())
        await until(partial(has_seen, readers[-1], number))
    begun_at = loop.time()
    for _ in range(2):
        world.write()
        world.hub.publish(world.under_way.pop())
        await settle()
    gathered = IN_A_ROW + 1, IN_A_ROW + 2
    await until(lambda: batches[-1] == gathered)
    world.write()
    world.hub.publish(world.under_way.pop())
    last = IN_A_ROW + 3
    await until(lambda: all(reader.seen == list(range(1, last + 1)) for reader in readers))
    assert batches == [*((number, number) for number in range(1, IN_A_ROW + 1)), gathered, (last, last)]
    assert loop.time() - begun_at >= 2.8 * seconds, "a rest, and two batches with a pause in each"
    for reader in readers:
        reader.leave()


async def test_events_that_come_closely_are_spread_and_one_after_a_quiet_while_is_not(monkeypatch: pytest.MonkeyPatch):
    seconds = 0.5
    monkeypatch.setattr(feed_module, "REST", 20)
    monkeypatch.setattr(feed_module, "REST_SECONDS", seconds)
    world, loop = World(), asyncio.get_running_loop()
    begun, ended = list[float](), list[float]()

    class First(Reader):
        def take(self, batch: Batch) -> None:
            begun.append(loop.time())
            time.sleep(0.05)  # it is the loop that is kept busy
            super().take(batch)

    class Last(Reader):
        def take(self, batch: Batch) -> None:
            ended.append(loop.time())
            super().take(batch)

    readers = [First(world, 0), *(Reader(world, 0) for _ in range(STRIDE)), last := Last(world, 0)]
    await settle()
    for count in (1, IN_A_ROW, 1):
        for _ in range(count):
            world.write()
            world.hub.publish(world.under_way.pop())
            await settle()
        await until(lambda: last.seen == [row.sequence for row in world.rows])
        if count == IN_A_ROW:
            await asyncio.sleep(2.5 * seconds)
    alone, close, late = (end - begin for begin, end in zip(begun, ended, strict=True))
    assert close >= 0.95 * seconds
    assert max(alone, late) < 0.8 * seconds
    for reader in readers:
        reader.leave()


async def test_calls_that_do_not_end_delay_a_batch_once():
    world, loop = World(), asyncio.get_running_loop()
    readers = [Reader(world, 0) for _ in range(10 * SLICE)]
    await settle()
    world.write()
    with contextlib.ExitStack() as calls:
        begun_at = loop.time()
        calls.enter_context(world.calls.one())
        world.hub.publish(world.under_way.pop())
        while not all(reader.text for reader in readers):
            calls.enter_context(world.calls.one())
            await asyncio.sleep(PATIENCE_SECONDS / 4)
        assert loop.time() - begun_at < 5 * COURTESY_SECONDS, "each slice waited"
    for reader in readers:
        reader.leave()


async def test_a_source_that_breaks_ends_every_member_with_its_fault():
    async def broken() -> AsyncGenerator[RequestEvent, None]:
        await asyncio.sleep(0)
        raise OSError("away")
        yield

    world = World()
    world.feed = Feed(broken(), world.tell, world.calls)
    readers = [Reader(world, 0) for _ in range(3)]
    await settle()
    assert all([str(fault) for fault in reader.ended] == ["away"] for reader in readers)
    for reader in readers:
        reader.leave()


async def test_rows_that_are_gone_end_the_member_that_reads_them():
    world = World()
    for _ in range(5):
        world.write()
    keeper = Reader(world, 5)
    await settle()
    world.rows.clear()
    late = Reader(world, 2)
    await settle()
    assert (late.ended, late.seen, keeper.ended) == ([None], [], [])
    for reader in (keeper, late):
        reader.leave()


async def test_a_feed_lives_as_long_as_it_has_members():
    world, feeds = World(), Feeds()
    world.feed = feeds.keep("key", world.shared())
    first, second = Reader(world, 0), Reader(world, 0)
    await settle()
    first.leave()
    assert feeds.get("key") is world.feed
    second.leave()
    assert feeds.get("key") is None
    await settle()
    assert world.hub.request_ids == []
    world.feed = first.feed = second.feed = None
    gc.collect()
    assert not feeds._feeds


@pytest.mark.parametrize("cursor", range(8))
def test_a_batch_gives_what_is_new(cursor: int):
    batch = Batch([Told(number, b"%d" % number) for number in (3, 4, 5)])
    assert [told.number for told in batch.after(cursor)] == [number for number in (3, 4, 5) if number > cursor]
