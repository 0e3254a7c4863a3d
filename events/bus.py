"""The bus between processes: events that are committed are broadcast, and reach the hub of every process.

A broadcast is only a wake-up. What is lost here, the heads of the rows make good (`Bus.watch`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from broadcaster import Broadcast

from events.cancellation import is_cancelled
from events.clock import utc_now
from events.hub import Head, Hub
from events.redis_backend import GAP, RedisBackend
from events.types import RequestEvent

if TYPE_CHECKING:
    from broadcaster import BroadcastBackend

CHANNEL = "maquette:events"
OUTBOX_LIMIT = 10_000
QUIET_SECONDS = 5.0
"""How long a stream may be wrong before the rows are asked."""
BLIND_SECONDS = 1.0
"""The same while the bus is known to be away."""
HEADS_OVERLAP = timedelta(seconds=30)
HEADS_CHUNK = 500

log = structlog.get_logger(__name__)


class Deleted(msgspec.Struct, frozen=True, tag=True):
    """A request is gone: its streams end."""

    request_id: str


class Happened(msgspec.Struct, frozen=True, tag=True):
    """Events of one transaction, in order."""

    events: tuple[RequestEvent, ...]


Message = Happened | Deleted


class HeadReader(Protocol):
    """Reads how far the rows are."""

    async def heads(self, request_ids: Sequence[str]) -> Mapping[str, Head]:
        """The newest event of each request that exists."""

    async def user_heads(self, user_ids: Sequence[str], since: datetime) -> Mapping[str, Mapping[str, Head]]:
        """By user, the newest event of each request that changed since then."""


class Bus:
    """Broadcasts to all processes, and feeds the hub of this one. Belongs to one event loop."""

    def __init__(self, hub: Hub, redis_url: str | None) -> None:
        self._hub = hub
        self._redis = RedisBackend(redis_url) if redis_url else None
        backend: BroadcastBackend | None = self._redis
        self._broadcast = Broadcast(backend=backend) if backend else Broadcast("memory://")
        self._listens = False
        self._outbox: asyncio.Queue[Message] = asyncio.Queue(OUTBOX_LIMIT)
        self._look = asyncio.Event()
        self._encode = msgspec.json.Encoder().encode
        self._decode: Callable[[bytes | str], Message] = msgspec.json.Decoder(Message).decode

    @property
    def connected(self) -> bool:
        return self._redis is None or self._redis.connected

    def publish(self, message: Message) -> None:
        """Hand a committed change on. Never waits and never fails: the rows have it."""
        if self._listens and isinstance(message, Happened):
            self._show_new(message.events)
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self._look.set()

    def _show_new(self, events: Sequence[RequestEvent]) -> None:
        """Show the hub the events of new requests at once; they come again, and who follows passes them over.

        Of other requests something may be on its way from another process, which is not to be overtaken.
        """
        new = {event.request_id for event in events if event.sequence == 1}
        for event in events:
            if event.request_id in new:
                self._hub.publish(event)

    @asynccontextmanager
    async def running(self, reader: HeadReader, *, listen: bool = True) -> AsyncIterator[None]:
        """Send what is published; with `listen`, receive for the hub as well."""
        self._listens = listen
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._broadcast)
            tasks = [asyncio.create_task(self._send())]
            if listen:
                subscriber = await stack.enter_async_context(self._broadcast.subscribe(CHANNEL))
                tasks += [
                    asyncio.create_task(self._receive(subscriber.get)),
                    asyncio.create_task(self._watch(reader)),
                ]
            try:
                yield
                # What is still in the outbox goes out, unless the bus is away.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._outbox.join()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self) -> None:
        while not is_cancelled():
            message = await self._outbox.get()
            try:
                await self._broadcast.publish(CHANNEL, self._encode(message).decode())
            except Exception as error:  # whatever the transport raises, the rows make it good
                log.warning("a broadcast failed; streams catch up from the database", error=str(error))
            finally:
                self._outbox.task_done()

    async def _receive(self, receive: Callable[[], Awaitable[object]]) -> None:
        while True:
            # Of a burst, receiving alone would never let those run who follow, and their queues would be full.
            await asyncio.sleep(0)
            published = await receive()
            text = getattr(published, "message", None)
            if not isinstance(text, str) or text == GAP:
                self._look.set()
                continue
            try:
                message = self._decode(text)
            except msgspec.MsgspecError:
                # Another version of the program shares the channel.
                self._look.set()
                continue
            match message:
                case Happened(events):
                    for event in events:
                        self._hub.publish(event)
                case Deleted(request_id):
                    self._hub.end_request(request_id)

    async def _watch(self, reader: HeadReader) -> None:
        since = utc_now()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS if self.connected else BLIND_SECONDS):
                    await self._look.wait()
            self._look.clear()
            started = utc_now()
            try:
                # The clock may have been set back since the last round.
                await self._show_heads(reader, min(since, started) - HEADS_OVERLAP)
            except Exception as error:  # the database is away; the next round looks again
                log.warning("the heads of the streams could not be read", error=str(error))
                await asyncio.sleep(BLIND_SECONDS)
                self._look.set()
            else:
                since = started

    async def _show_heads(self, reader: HeadReader, since: datetime) -> None:
        for chunk in _chunks(self._hub.request_ids):
            heads = await reader.heads(chunk)
            self._hub.show_request_heads(heads)
            for request_id in chunk:
                if request_id not in heads:
                    self._hub.end_request(request_id)
        for chunk in _chunks(self._hub.user_ids):
            for user_id, heads in (await reader.user_heads(chunk, since)).items():
                self._hub.show_user_heads(user_id, heads)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), HEADS_CHUNK):
        yield ids[start : start + HEADS_CHUNK]
