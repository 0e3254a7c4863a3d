"""The queues, in memory and on a real Redis, worked on by Dramatiq's own worker."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dramatiq
import pytest
from dramatiq import Message, Worker

from db import images
from db.queues import IMAGES, MODELS
from tasks.broker import NAMESPACE, MemoryQueues, Queues, QueueUnavailable, RedisQueues, open_queues
from tests.rows import TERMS, create, opened, sqlite_url
from tests.servers import Redis, wait_until

LIMITS = {IMAGES: 5, MODELS: 3}


class Work:
    """What the actors of a test have done. They wait while `go` is not set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.began: dict[str, float] = {}
        self.times: Counter[str] = Counter()
        self.in_hand: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._lock = threading.Lock()

    def do(self, queue: str, job_id: str) -> None:
        with self._lock:
            self.began[job_id] = time.perf_counter()
            self.times[job_id] += 1
            self.in_hand[queue] += 1
            self.most[queue] = max(self.most[queue], self.in_hand[queue])
        try:
            self.go.wait(30)
            if job_id.startswith("bad"):
                raise RuntimeError("an actor that fails")
        finally:
            with self._lock:
                self.in_hand[queue] -= 1

    def has(self, *job_ids: str) -> Callable[[], bool]:
        return lambda: all(job_id in self.began for job_id in job_ids)

    def settled(self, images: int, models: int) -> Callable[[], bool]:
        return lambda: (self.in_hand[IMAGES], self.in_hand[MODELS]) == (images, models)


def send(queues: Queues, messages: Sequence[Message[None]]) -> None:
    async def sent() -> None:
        async with queues.sending() as enqueue:
            await enqueue(messages)

    asyncio.run(sent())


class Desk:
    """Queues with their actors."""

    def __init__(self, url: str | None, work: Work) -> None:
        self.queues: Queues = open_queues(url, LIMITS)
        self.image = dramatiq.actor(
            lambda job_id: work.do(IMAGES, job_id), actor_name="image", broker=self.queues, queue_name=IMAGES
        )
        self.model = dramatiq.actor(
            lambda job_id: work.do(MODELS, job_id), actor_name="model", broker=self.queues, queue_name=MODELS
        )

    def send(self, *job_ids: str) -> None:
        send(self.queues, [self.image.message(job_id) for job_id in job_ids])

    @contextmanager
    def working(self) -> Iterator[None]:
        worker = Worker(self.queues, worker_threads=sum(LIMITS.values()), worker_timeout=500)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=5_000)


def wait(condition: Callable[[], bool], what: str = "it did not come to pass", seconds: float = 10) -> None:
    wait_until(condition, seconds, lambda: what)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.go.set()


@contextmanager
def desk_on(url: str | None, work: Work) -> Iterator[Desk]:
    desk = Desk(url, work)
    try:
        yield desk
    finally:
        with suppress(Exception):
            desk.queues.close()


@pytest.fixture(params=["memory", "redis"])
def desk(request: pytest.FixtureRequest, work: Work) -> Iterator[Desk]:
    if request.param == "memory":
        url = None
    else:
        redis: Redis = request.getfixturevalue("redis_server")
        redis.flushall()
        url = redis.url
    with desk_on(url, work) as desk:
        yield desk


def test_a_url_chooses_the_queues():
    assert isinstance(open_queues(None, LIMITS), MemoryQueues)
    # Nothing is connected yet: the address need not answer.
    assert isinstance(open_queues("redis://127.0.0.1:1/0", LIMITS), RedisQueues)


def test_a_message_on_an_idle_queue_begins_at_once(desk: Desk, work: Work):
    with desk.working():
        desk.send("first")
        wait(work.has("first"))
        waits = []
        for number in range(20):
            # Idle means that the consumer has found nothing and waits.
            wait(work.settled(0, 0))
            threading.Event().wait(0.02)
            sent = time.perf_counter()
            desk.send(f"job_{number}")
            wait(work.has(f"job_{number}"))
            waits.append(work.began[f"job_{number}"] - sent)
    assert statistics.median(waits) < 0.05, waits


def test_a_job_that_came_without_a_message_takes_a_place(redis_server: Redis, work: Work):
    redis_server.flushall()
    work.go.clear()
    with desk_on(redis_server.url, work) as desk:
        # Before the first fetch: one that is under way takes what there was room for when it began.
        desk.queues.hold(IMAGES, 3)
        desk.send(*(f"job_{number}" for number in range(10)))
        with desk.working():
            wait(work.settled(2, 0))
            assert desk.queues.waiting(IMAGES) == 8, "somebody else may have them"
            desk.queues.let_go(IMAGES, 3)
            wait(work.settled(5, 0))
            work.go.set()
    assert work.most[IMAGES] == 5


def test_a_worker_that_is_to_stop_leaves_the_rest_to_others(redis_server: Redis, work: Work):
    redis_server.flushall()
    work.go.clear()
    with desk_on(redis_server.url, work) as desk, desk.working():
        desk.send("in_hand")
        wait(work.settled(1, 0))
        desk.queues.stop_fetching()
        # What the consumer was about to fetch comes all the same.
        desk.send("perhaps")
        threading.Event().wait(1)
        desk.send(*(f"other_{number}" for number in range(3)))
        work.go.set()
        wait(work.settled(0, 0))
        threading.Event().wait(1)
        assert desk.queues.waiting(IMAGES) >= 3
        assert not any(work.has(f"other_{number}")() for number in range(3))


def test_limits_hold_and_nothing_is_left(desk: Desk, work: Work):
    work.go.clear()
    send(
        desk.queues,
        [desk.image.message(f"image_{number}") for number in range(20)]
        + [desk.model.message(f"model_{number}") for number in range(10)],
    )
    with desk.working():
        wait(work.settled(5, 3))
        assert desk.queues.waiting(IMAGES) == 15
        assert desk.queues.waiting(MODELS) == 7
        work.go.set()
        wait(lambda: len(work.began) == 30 and work.settled(0, 0)())
        wait(lambda: desk.queues.waiting(IMAGES) == desk.queues.waiting(MODELS) == 0)
    assert (work.most[IMAGES], work.most[MODELS]) == (5, 3)
    assert set(work.times.values()) == {1}


def test_a_slot_that_gets_free_is_filled_at_once(desk: Desk, work: Work):
    """The stock consumer sleeps when its slots are full: it does a third of this."""
    with desk.working():
        began = time.perf_counter()
        desk.send(*(f"job_{number}" for number in range(200)))
        wait(lambda: len(work.began) == 200)
        assert time.perf_counter() - began < 5
    assert work.most[IMAGES] <= 5


def test_no_exception_of_an_actor_stops_the_work(desk: Desk, work: Work):
    with desk.working():
        desk.send(*(f"bad_{number}" for number in range(12)), "good")
        wait(work.has("good", "bad_11"))
    assert set(work.times.values()) == {1}, "failures are the database's to try again, not the queue's"


def test_no_message_stops_the_work(redis_server: Redis, work: Work):
    """What another version of the program sends, or nobody."""
    redis_server.flushall()
    with desk_on(redis_server.url, work) as desk, desk.working():
        name = f"{NAMESPACE}:{IMAGES}"
        with redis_server.client() as client:
            for number, text in enumerate(("no JSON", "[]", "{}", '{"queue_name": "images"}', "\ufffd")):
                client.hset(f"{name}.msgs", f"odd_{number}", text)
                client.rpush(name, f"odd_{number}")
            client.rpush(name, "an id without a message")
            stranger: Message[None] = Message(IMAGES, "no such actor", (), {}, {"redis_message_id": "stranger"})
            client.hset(f"{name}.msgs", "stranger", stranger.encode())
            client.rpush(name, "stranger")
            unnumbered: Message[None] = desk.image.message("unnumbered")
            client.hset(f"{name}.msgs", "odd_9", unnumbered.encode())
            client.rpush(name, "odd_9")
        work.go.clear()
        desk.send(*(f"job_{number}" for number in range(12)))
        wait(work.settled(5, 0))
        work.go.set()
        wait(work.has(*(f"job_{number}" for number in range(12))))
    assert work.most[IMAGES] == 5, "nor does it raise the limit"


def test_limits_hold_over_a_restart_of_redis(own_redis: Redis, work: Work):
    with desk_on(own_redis.url, work) as desk, desk.working():
        work.go.clear()
        desk.send(*(f"old_{number}" for number in range(9)))
        wait(work.settled(5, 0))
        own_redis.kill9()
        with pytest.raises(QueueUnavailable):
            desk.send("lost")
        with pytest.raises(QueueUnavailable):
            desk.queues.waiting(IMAGES)
        own_redis.start()
        wait(lambda: can_send(desk, *(f"new_{number}" for number in range(9))))
        wait(lambda: desk.queues.waiting(IMAGES) == 9)
        assert work.in_hand[IMAGES] == 5
        work.go.set()
        wait(work.has(*(f"new_{number}" for number in range(9))))
        assert work.most[IMAGES] == 5
        assert set(work.times.values()) == {1}
        assert not [job_id for job_id in work.began if job_id == "lost"]


def can_send(desk: Desk, *job_ids: str) -> bool:
    try:
        desk.send(*job_ids)
    except QueueUnavailable:
        return False
    return True


def test_a_message_outlives_a_redis_that_keeps_it(work: Work):
    with Redis("--appendfsync", "always", append_only=True) as server, desk_on(server.url, work) as desk:
        desk.send("kept")
        server.kill9()
        server.start()
        with desk.working():
            wait(work.has("kept"))


def test_after_a_redis_that_keeps_nothing_the_queue_works_on(own_redis: Redis, work: Work):
    with desk_on(own_redis.url, work) as desk:
        desk.send("forgotten")
        with desk.working():
            wait(work.has("forgotten"))
            own_redis.flushall()
            desk.send("next")
            wait(work.has("next"))


def test_a_worker_starts_without_redis(own_redis: Redis, work: Work):
    own_redis.kill9()
    with desk_on(own_redis.url, work) as desk, desk.working():
        with pytest.raises(QueueUnavailable):
            desk.send("lost")
        own_redis.start()
        wait(lambda: can_send(desk, "found"))
        wait(work.has("found"))


def test_two_workers_share_the_queue(redis_server: Redis, work: Work):
    redis_server.flushall()
    with desk_on(redis_server.url, work) as first, desk_on(redis_server.url, work) as second:
        work.go.clear()
        with first.working(), second.working():
            first.send(*(f"job_{number}" for number in range(20)))
            wait(work.settled(10, 0), "each has five in hand")
            work.go.set()
            wait(lambda: len(work.began) == 20)
    assert set(work.times.values()) == {1}


async def test_a_message_that_comes_twice_is_one_claim(tmp_path: Path, redis_server: Redis, work: Work):
    redis_server.flushall()
    claims: list[bool] = []
    async with opened(sqlite_url(tmp_path)) as database:
        _, job_ids = await create(database)
        loop = asyncio.get_running_loop()

        def claim(_queue: str, job_id: str) -> None:
            call = images.claim(database, job_id, TERMS)
            claims.append(asyncio.run_coroutine_threadsafe(call, loop).result(10) is not None)

        work.do = claim  # type: ignore[method-assign]
        with desk_on(redis_server.url, work) as desk:
            await asyncio.to_thread(work_off, desk, claims, [job_ids[0]] * 8)
    assert Counter(claims) == {True: 1, False: 7}


def work_off(desk: Desk, claims: list[bool], job_ids: list[str]) -> None:
    desk.send(*job_ids)
    with desk.working():
        wait(lambda: len(claims) == len(job_ids))
