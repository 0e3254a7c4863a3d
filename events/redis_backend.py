"""A transport for broadcaster that outlives a Redis restart.

broadcaster's own one stops reading for good at the first lost connection, and says nothing (encode/broadcaster#144).
This one connects again, subscribes again, and says that something may have been missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import structlog
from broadcaster import BroadcastBackend, Event
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

GAP = ""
"""The message that stands for «something may have been missed»."""
RECONNECT_SECONDS = 0.5
PING_SECONDS = 10.0

log = structlog.get_logger(__name__)


async def close(connected: Redis | PubSub) -> None:
    """Close what may be gone already: over TLS, that waits for the other side."""
    with contextlib.suppress(RedisError, OSError):
        await connected.aclose()


class RedisBackend(BroadcastBackend):
    """Redis pub/sub. `connected` tells whether broadcasts can arrive at the moment."""

    def __init__(self, url: str) -> None:
        # The retry is for stale pooled connections: without one, the first publish after a restart fails.
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(ExponentialBackoff(0.25, 0.02), 2)
        )
        self._pubsub: PubSub = self._redis.pubsub()
        self._channels: set[str] = set()
        self._unanswered = False
        self.connected = False

    async def connect(self) -> None:
        pass

    async def disconnect(self) -> None:
        await close(self._pubsub)
        await close(self._redis)

    async def subscribe(self, channel: str) -> None:
        self._channels.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        self._channels.discard(channel)

    async def publish(self, channel: str, message: Any) -> None:
        await self._redis.publish(channel, message)

    async def next_published(self) -> Event:
        while True:
            if not self._channels:
                await asyncio.sleep(0.01)
                continue
            try:
                if not self.connected:
                    await self._pubsub.subscribe(*self._channels)
                message = await self._pubsub.get_message(timeout=PING_SECONDS)
                if message is None:
                    await self._ping()
                    continue
                self._unanswered = False
                if message["type"] == "subscribe":
                    self.connected = True
                    return Event(message["channel"].decode(), GAP)
                if message["type"] == "message":
                    # What is no text is none of ours, and must not end the listening.
                    return Event(message["channel"].decode(), message["data"].decode(errors="replace"))
            except (RedisError, OSError, AttributeError, RuntimeError) as error:
                # The last two are redis-py's where its connection is closed while it subscribes or is asked.
                was_connected = self.connected
                await self._lost(error)
                if was_connected and self._channels:
                    return Event(next(iter(self._channels)), GAP)

    async def _ping(self) -> None:
        """A connection that died without a word answers no ping."""
        if self._unanswered:
            raise RedisConnectionError("no answer to a ping")
        self._unanswered = True
        await self._pubsub.ping()

    async def _lost(self, error: Exception) -> None:
        if self.connected:
            log.warning("the bus lost Redis; streams follow the database until it is back", error=str(error))
        self.connected = self._unanswered = False
        await close(self._pubsub)
        self._pubsub = self._redis.pubsub()
        await asyncio.sleep(RECONNECT_SECONDS)
