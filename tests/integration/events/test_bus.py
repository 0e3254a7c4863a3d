"""The bus between processes, in memory and on a real Redis that comes to grief."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest
import redis
import redis.asyncio

from events import bus as bus_module
from events import redis_backend
from events.bus import CHANNEL, OUTBOX_LIMIT, Bus, Deleted, Happened
from events.clock import utc_now
from events.follow import follow_request, follow_user
from events.hub import QUEUE_LIMIT, Head, Hub
from events.status import RequestStatus
from events.types import RequestEvent, TaskUpdated
from tests.leaving import assert_it_ends
from tests.servers import Redis, free_port
from tests.waiting import until

PENDING = TaskUpdated(RequestStatus.IMAGE_PENDING, RequestStatus.IMAGE_PENDING.phase)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Rows:
    """The log that all processes share."""

    def __init__(self) -> None:
        self.events: dict[str, list[RequestEvent]] = {"req_1": []}

    def write(self, request_id: str = "req_1") -> RequestEvent:
        events = self.events.setdefault(request_id, [])
        events.append(RequestEvent(request_id, "ann", len(events) + 1, utc_now(), PENDING))
        return events[-1]

    async def read(self, request_id: str, after: int) -> list[RequestEvent]:
        return self.events.get(request_id, [])[after : after + 200]

    async def heads(self, request_ids: Sequence[str]) -> Mapping[str, Head]:
        heads = (await self.user_heads(["ann"], BEGINNING))["ann"]
        return {name: heads.get(name, Head(0, BEGINNING)) for name in request_ids if name in self.events}

    async def user_heads(self, user_ids: Sequence[str], since: datetime) -> Mapping[str, Mapping[str, Head]]:
        heads = {name: Head(len(events), events[-1].occurred_at) for name, events in self.events.items() if events}
        return dict.fromkeys(user_ids, heads)


class Process:
    """A process with its bus, and streams that are followed in it."""

    def __init__(self, rows: Rows, url: str | None) -> None:
        self.rows, self.hub = rows, Hub()
        self.bus = Bus(self.hub, url)
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self, request_id: str = "req_1", after: int = 0) -> list[int]:
        return self._kept(follow_request(self.hub, request_id, after, self.rows.read))

    def follow_all(self) -> list[int]:
        return self._kept(follow_user(self.hub, "ann", utc_now(), self.rows.read))

    def _kept(self, stream: AsyncIterator[RequestEvent]) -> list[int]:
        told: list[int] = []

        async def keep() -> None:
            async for event in stream:
                told.append(event.sequence)  # noqa: PERF401  # each at once, not all at the end

        self._tasks.append(asyncio.create_task(keep()))
        return told

    def tell(self, request_id: str = "req_1") -> None:
        self.bus.publish(Happened((self.rows.write(request_id),)))

    async def end(self) -> None:
        self.hub.close()
        await asyncio.wait_for(asyncio.gather(*self._tasks), 5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long, but the rows are not asked without a reason."""
    monkeypatch.setattr(redis_backend, "RECONNECT_SECONDS", 0.02)
    monkeypatch.setattr(redis_backend, "PING_SECONDS", 0.2)
    monkeypatch.setattr(bus_module, "BLIND_SECONDS", 0.05)
    monkeypatch.setattr(bus_module, "QUIET_SECONDS", 3600)


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else str(request.getfixturevalue("redis_server").url)


async def ready(*processes: Process) -> None:
    await until(lambda: all(process.bus.connected for process in processes))


async def test_it_ends_whatever_it_is_at(redis_server: Redis):
    """redis-py swallows some cancellations on Python 3.11."""

    @asynccontextmanager
    async def begun() -> AsyncIterator[None]:
        process = Process(Rows(), redis_server.url)
        async with process.bus.running(process.rows, listen=False):
            process.tell()
            yield

    await assert_it_ends(begun)


async def test_it_ends_though_the_connection_does_not_close(redis_server: Redis, monkeypatch: pytest.MonkeyPatch):
    async def hang(_client: redis.asyncio.Redis) -> None:
        raise redis.TimeoutError("as over TLS")

    monkeypatch.setattr(redis.asyncio.Redis, "aclose", hang)
    process = Process(Rows(), redis_server.url)
    async with process.bus.running(process.rows):
        await ready(process)


async def test_what_is_published_is_heard(url: str | None, quick: None):
    process = Process(Rows(), url)
    async with process.bus.running(process.rows):
        await ready(process)
        told, all_told = process.follow(), process.follow_all()
        for _ in range(5):
            process.tell()
        await until(lambda: told == all_told == [1, 2, 3, 4, 5])
        process.bus.publish(Deleted("req_1"))
        await until(lambda: process.hub.request_ids == [])
        await process.end()


async def test_other_processes_hear_it_the_first_subscriber_too(redis_server: Redis, quick: None):
    """broadcaster's own backend is deaf for the first subscriber of a channel with redis-py 8 on Python 3.11."""
    for _ in range(5):
        rows = Rows()
        async with AsyncExitStack() as stack:
            first, second, worker = (Process(rows, redis_server.url) for _ in range(3))
            for process in (first, second):
                await stack.enter_async_context(process.bus.running(rows))
            await stack.enter_async_context(worker.bus.running(rows, listen=False))
            await ready(first, second)
            # The rows cannot help: what is heard came over the bus.
            rows.write()
            told = [process.follow(after=1) for process in (first, second)]
            await until(lambda: all(process.hub.request_ids for process in (first, second)))  # noqa: B023  # awaited here
            worker.tell()
            await until(lambda: told == [[2], [2]], 2)  # noqa: B023  # awaited here
            await first.end()
            await second.end()


async def test_a_new_request_is_heard_in_its_process_without_redis(quick: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bus_module, "BLIND_SECONDS", 3600)
    process = Process(Rows(), f"redis://127.0.0.1:{free_port()}")
    process.rows.write("req_2")
    async with process.bus.running(process.rows):
        told, all_told, other = process.follow(), process.follow_all(), process.follow("req_2", after=1)
        await until(lambda: len(process.hub.request_ids) == 2)
        # One transaction may tell of several requests.
        process.bus.publish(Happened((process.rows.write("req_2"), process.rows.write())))
        await until(lambda: told == all_told == [1])
        assert other == [], "it might have overtaken what another process tells of that request"
        await process.end()


async def test_what_is_heard_twice_is_told_once(redis_server: Redis, quick: None):
    rows = Rows()
    first, second = Process(rows, redis_server.url), Process(rows, redis_server.url)
    async with first.bus.running(rows), second.bus.running(rows):
        await ready(first, second)
        told = first.follow(), first.follow_all(), second.follow(), second.follow_all()
        await until(lambda: first.hub.request_ids and second.hub.request_ids)
        for process in (first, second, first):
            process.tell()
            await until(lambda: [len(rows.events["req_1"])] * 4 == [len(numbers) for numbers in told])
        assert list(told) == [[1, 2, 3]] * 4
        await first.end()
        await second.end()


async def test_a_burst_reaches_who_reads(url: str | None, quick: None):
    process, count = Process(Rows(), url), 4 * QUEUE_LIMIT
    async with process.bus.running(process.rows):
        await ready(process)
        told, all_told = process.follow(), process.follow_all()
        await until(lambda: process.hub.request_ids)
        for _ in range(count):
            process.tell()
        await until(lambda: told == all_told == list(range(1, count + 1)), 30)
        await process.end()


async def test_a_redis_that_is_killed_costs_no_event(own_redis: Redis, quick: None):
    rows = Rows()
    process, other = Process(rows, own_redis.url), Process(rows, own_redis.url)
    async with process.bus.running(rows), other.bus.running(rows, listen=False):
        await ready(process)
        told, all_told = process.follow(), process.follow_all()
        other.tell()
        await until(lambda: told == all_told == [1])
        await asyncio.to_thread(own_redis.kill9)
        await until(lambda: not process.bus.connected)
        began = time.monotonic()
        for _ in range(50):
            other.tell()
        assert time.monotonic() - began < 0.1, "publishing does not wait"
        await until(lambda: told == all_told == list(range(1, 52)))
        rows.write()  # by a process that was killed before its broadcast
        await asyncio.to_thread(own_redis.start)
        await ready(process)
        await until(lambda: told == all_told == list(range(1, 53)))
        other.tell()
        await until(lambda: told == all_told == list(range(1, 54)))
        await process.end()


async def test_a_short_gap_leads_back_to_the_rows(own_redis: Redis, quick: None, monkeypatch: pytest.MonkeyPatch):
    """Even where nobody noticed that the bus was away until it was back."""
    monkeypatch.setattr(bus_module, "BLIND_SECONDS", 3600)
    rows = Rows()
    process = Process(rows, own_redis.url)
    async with process.bus.running(rows):
        await ready(process)
        told = process.follow()
        await until(lambda: process.hub.request_ids)
        await asyncio.to_thread(own_redis.kill9)
        rows.write()
        await asyncio.to_thread(own_redis.start)
        await until(lambda: told == [1])
        await process.end()


async def test_a_redis_that_says_nothing_is_noticed(own_redis: Redis, quick: None):
    rows = Rows()
    process = Process(rows, own_redis.url)
    async with process.bus.running(rows):
        await ready(process)
        told = process.follow()
        own_redis.pause()
        await until(lambda: not process.bus.connected)
        process.tell()
        await until(lambda: told == [1])
        own_redis.resume()
        await ready(process)
        process.tell()
        await until(lambda: told == [1, 2])
        await process.end()


async def test_publishing_never_waits_or_fails(own_redis: Redis, quick: None):
    process = Process(Rows(), own_redis.url)
    async with process.bus.running(process.rows):
        await ready(process)
        own_redis.pause()
        for _ in range(OUTBOX_LIMIT + 100):
            process.bus.publish(Deleted("req_none"))
        assert process.bus._outbox.qsize() <= OUTBOX_LIMIT
        await asyncio.to_thread(own_redis.kill9)


async def test_what_is_no_message_does_no_harm(own_redis: Redis, quick: None):
    process = Process(Rows(), own_redis.url)
    async with process.bus.running(process.rows):
        await ready(process)
        told = process.follow()
        await until(lambda: process.hub.request_ids)
        with own_redis.client() as client:
            for text in (b"", b"\xff\xfe", b"{}", b'{"type":"Later","events":[]}', b"[" * 5_000):
                client.publish(CHANNEL, text)
        process.tell()
        await until(lambda: told == [1])
        assert process.bus.connected
        await process.end()


async def test_without_redis_at_the_start_the_rows_are_followed(own_redis: Redis, quick: None):
    own_redis.kill9()
    process = Process(Rows(), own_redis.url)
    async with process.bus.running(process.rows):
        told = process.follow()
        process.tell()
        await until(lambda: told == [1])
        assert not process.bus.connected
        await asyncio.to_thread(own_redis.start)
        await ready(process)
        process.tell()
        await until(lambda: told == [1, 2])
        await process.end()


async def test_a_deletion_that_was_not_heard_ends_the_stream(url: str | None, quick: None):
    process = Process(Rows(), url)
    process.rows.write()
    async with process.bus.running(process.rows):
        await ready(process)
        told = process.follow()
        await until(lambda: told == [1])
        process.rows.events.clear()
        process.bus._look.set()
        await until(lambda: process.hub.request_ids == [])


async def test_a_database_that_is_away_is_asked_again(quick: None):
    process = Process(Rows(), None)
    heads, failures = process.rows.heads, [OSError("away")]

    async def fail(request_ids: Sequence[str]) -> Mapping[str, int]:
        if failures:
            raise failures.pop()
        return await heads(request_ids)

    process.rows.heads = fail  # type: ignore[method-assign]
    async with process.bus.running(process.rows):
        told = process.follow()
        await until(lambda: process.hub.request_ids)
        process.rows.write()
        process.bus._look.set()
        await until(lambda: told == [1])
        await process.end()
