"""How the queues are kept: in Redis, or in the memory of this process. Only this module knows.

A message says no more than «look at this job»: the database knows what is to be done, so a message that is lost is
sent again by the sweeper, and one that comes twice finds the job claimed. That is why nothing here raises when an
acknowledgement fails, and why retries are not Dramatiq's: their delayed messages are lost with a connection.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
import redis
import redis.asyncio
import structlog
from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import DecodeError
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from events.redis_backend import close

NAMESPACE = "maquette"
BELL = f"{NAMESPACE}:bell"
AWAY_SECONDS = 0.5
LISTEN_SECONDS = 0.5
HEARTBEAT_MILLISECONDS = 15_000
CONNECTION: Mapping[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 15}
RETRIES = ExponentialBackoff(0.25, 0.02), 2

log = structlog.get_logger(__name__)


class QueueUnavailable(Exception):
    """The queue cannot be reached now. Jobs wait in the database until it is back."""


Send = Callable[[Sequence[Message[None]]], Awaitable[None]]
"""Enqueues messages; raises `QueueUnavailable`."""


class RedisQueues(RedisBroker):
    """Dramatiq's Redis broker with a doorbell: a message on an idle queue is fetched at once, not at the next poll.

    `limits` is how many messages of each queue this process has in hand at once.
    """

    def __init__(self, url: str, limits: Mapping[str, int]) -> None:
        client = redis.Redis.from_url(url, retry=Retry(*RETRIES), **CONNECTION)
        super().__init__(  # type: ignore[no-untyped-call]  # dramatiq leaves its Redis broker untyped
            client=client,
            middleware=[],
            namespace=NAMESPACE,
            heartbeat_timeout=HEARTBEAT_MILLISECONDS,
            # Every command looks for the messages of dead workers, not one in a thousand.
            maintenance_chance=1_000_000,
        )
        self._url = url
        self._limits = limits
        # The ids by which Dramatiq keeps messages in Redis: one for each time that a message is sent.
        self._prefix = uuid4()
        self._numbers = itertools.count()
        self._held: Counter[str] = Counter()
        self._consumers: dict[str, _DoorbellConsumer] = {}
        self._listener: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closing = threading.Event()

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        consumer = _DoorbellConsumer(self, queue_name, self._limits.get(queue_name, prefetch), timeout / 1000)
        self._consumers[queue_name] = consumer
        with self._starting:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="doorbell", daemon=True)
                self._listener.start()
        return consumer

    def stop_fetching(self) -> None:
        """Leave what waits to other processes, while what is in hand is done."""
        for consumer in tuple(self._consumers.values()):
            consumer.fetches = False

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Send]:
        """A way to send from this event loop while the block runs: in one round trip, with the ring."""
        client = redis.asyncio.Redis.from_url(self._url, retry=AsyncRetry(*RETRIES), **CONNECTION)
        try:
            yield partial(self._send, client)
        finally:
            await close(client)

    async def _send(self, client: redis.asyncio.Redis, messages: Sequence[Message[None]]) -> None:
        by_queue: dict[str, dict[str, bytes]] = {}
        for message in messages:
            message_id = f"{self._prefix}-{next(self._numbers)}"
            by_queue.setdefault(message.queue_name, {})[message_id] = _encoded(message, message_id)
        try:
            async with client.pipeline() as pipe:
                for queue_name, encoded_by_id in by_queue.items():
                    name = f"{self.namespace}:{queue_name}"
                    pipe.hset(f"{name}.msgs", mapping=dict(encoded_by_id.items()))
                    pipe.rpush(name, *encoded_by_id)
                    pipe.publish(BELL, queue_name)
                await pipe.execute()
        except (redis.RedisError, OSError) as error:
            raise QueueUnavailable(str(error)) from error

    def acknowledge(self, queue_name: str, message_ids: Sequence[str]) -> None:
        """Forget messages that are done; raises what redis-py raises."""
        with self.client.pipeline() as pipe:
            # Dramatiq's own script takes one at a time.
            pipe.srem(f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}", *message_ids)
            pipe.hdel(f"{self.namespace}:{queue_name}.msgs", *message_ids)
            pipe.execute()

    def hold(self, queue_name: str, count: int) -> None:
        """Fetch so many messages less at once, for jobs that come without one."""
        self._held[queue_name] += count

    def let_go(self, queue_name: str, count: int) -> None:
        """So many of these jobs are done."""
        self._held[queue_name] -= count
        if queue_name in self._consumers:
            self._consumers[queue_name].bell.set()

    def held(self, queue_name: str) -> int:
        """How many such jobs there are."""
        return self._held[queue_name]

    def waiting(self, queue_name: str) -> int:
        """How many messages wait to be fetched; raises `QueueUnavailable`."""
        try:
            return int(self.client.llen(f"{self.namespace}:{queue_name}"))
        except (redis.RedisError, OSError) as error:
            raise QueueUnavailable(str(error)) from error

    def close(self) -> None:
        self._closing.set()
        if self._listener is not None:
            self._listener.join(LISTEN_SECONDS + AWAY_SECONDS)
        self.client.close()

    def _listen(self) -> None:
        """Ring where a message came. After every new connection ring everywhere: something may have been missed."""
        while not self._closing.is_set():
            try:
                with self.client.pubsub() as pubsub:
                    pubsub.subscribe(BELL)
                    while not self._closing.is_set():
                        message = pubsub.get_message(timeout=LISTEN_SECONDS)
                        if message is None:
                            continue
                        name = message["data"].decode() if message["type"] == "message" else None
                        for queue_name, consumer in tuple(self._consumers.items()):
                            if name in (None, queue_name):
                                consumer.bell.set()
            except (redis.RedisError, OSError):
                self._closing.wait(AWAY_SECONDS)


class _DoorbellConsumer(Consumer):
    def __init__(self, broker: RedisQueues, queue_name: str, limit: int, timeout: float) -> None:
        self.bell = threading.Event()
        self.fetches = True
        self._broker = broker
        self._queue_name = queue_name
        self._limit = limit
        self._timeout = timeout
        self._fetched: list[bytes | None] = []
        self._in_hand: set[str] = set()
        self._done: deque[str] = deque()
        self._away = False

    def __next__(self) -> MessageProxy | None:
        while self._fetched:
            data = self._fetched.pop(0)
            # An id that was queued twice, by a command repeated after a lost answer, has no message any more.
            message = None if data is None else _decoded(data)
            if message is not None:
                self._in_hand.add(message.options["redis_message_id"])
                return MessageProxy(message)
        # Cleared before the fetch: a ring in between is then still heard.
        self.bell.clear()
        self._acknowledge()
        if not self._fetch():
            self.bell.wait(AWAY_SECONDS if self._away else self._timeout)
        return None

    def _fetch(self) -> bool:
        free = self._limit - len(self._in_hand) - self._broker.held(self._queue_name)
        if free <= 0 or not self.fetches:
            return False
        try:
            self._fetched = list(self._broker.do_fetch(self._queue_name, free))
        except (redis.RedisError, OSError) as error:
            if not self._away:
                log.warning("the queue is away; jobs wait in the database", queue=self._queue_name, error=str(error))
            self._away = True
            return False
        if self._away:
            log.info("the queue is back", queue=self._queue_name)
        self._away = False
        return bool(self._fetched)

    def ack(self, message: MessageProxy) -> None:
        """Free the place at once. The message goes with the next fetch, as several are acknowledged in one trip."""
        message_id = message.options["redis_message_id"]
        self._done.append(message_id)
        self._in_hand.discard(message_id)
        self.bell.set()

    nack = ack
    """An actor that failed says nothing of its job: the database has it, and the sweeper sends it again."""

    def close(self) -> None:
        self._acknowledge()

    def _acknowledge(self) -> None:
        message_ids = [self._done.popleft() for _ in range(len(self._done))]
        if not message_ids:
            return
        try:
            self._broker.acknowledge(self._queue_name, message_ids)
        except (redis.RedisError, OSError) as error:
            log.warning("messages could not be acknowledged", queue=self._queue_name, error=str(error))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        ids = [message.options["redis_message_id"] for message in messages]
        if ids:
            self._broker.do_requeue(self._queue_name, *ids)


def _encoded(message: Message[None], message_id: str) -> bytes:
    """A message as Dramatiq's Redis broker sends it, made ten times as fast."""
    options = {**message.options, "redis_message_id": message_id}
    return msgspec.json.encode(vars(message) | {"options": options})


def _decoded(data: bytes) -> Message[None] | None:
    """A message, or None for what is none of this program: raised here, an error would end the consumer."""
    try:
        message: Message[None] = Message.decode(data)
        message.options["redis_message_id"]
    except (DecodeError, TypeError, KeyError) as error:
        log.warning("what is no message was left in the queue", error=repr(error))
        return None
    return message


class MemoryQueues(StubBroker):
    """Dramatiq's in-memory broker with a limit for each queue. It forgets everything at exit: the sweeper does not."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        super().__init__(middleware=[])
        self._limits = limits
        self._held: Counter[str] = Counter()

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = queue.Queue()
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        return super().consume(queue_name, self._limits.get(queue_name, prefetch), timeout)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Send]:
        """A way to send while the block runs."""
        yield self._send

    async def _send(self, messages: Sequence[Message[None]]) -> None:
        for message in messages:
            self.enqueue(message)

    def hold(self, queue_name: str, count: int) -> None:
        """Expect so many messages to wait where they are fetched, for jobs that come without one."""
        self._held[queue_name] += count

    def let_go(self, queue_name: str, count: int) -> None:
        """So many of these jobs are done."""
        self._held[queue_name] -= count

    def stop_fetching(self) -> None:
        """Nothing: what waits here waits for this process alone."""

    def waiting(self, queue_name: str) -> int:
        """How many messages wait, to be fetched or for such jobs."""
        return int(self.queues[queue_name].qsize()) + self._held[queue_name]


Queues = RedisQueues | MemoryQueues


def open_queues(redis_url: str | None, limits: Mapping[str, int]) -> Queues:
    """The queues that the settings choose. Nothing is connected yet."""
    return MemoryQueues(limits) if redis_url is None else RedisQueues(redis_url, limits)
