"""The sender on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis
import redis.asyncio
from dramatiq import Message

from db.queues import IMAGES
from tasks.broker import QueueUnavailable, RedisQueues
from tasks.sender import Sender
from tests.leaving import assert_it_ends
from tests.servers import Redis


def message(job_id: str) -> Message[None]:
    return Message(IMAGES, "generate_image", (job_id,), {}, {})


@pytest.mark.parametrize("connected", [False, True])
async def test_it_ends_whatever_it_is_at(redis_server: Redis, connected: bool):
    """redis-py swallows some cancellations on Python 3.11."""

    @asynccontextmanager
    async def begun() -> AsyncIterator[None]:
        sender = Sender(RedisQueues(redis_server.url, {}))
        async with sender.running():
            if connected:
                sender.send([message("first")])
                await sender._is_idle.wait()
            sender.send([message("second")])
            yield

    await assert_it_ends(begun)


async def test_its_connection_outlives_a_restart_of_redis(own_redis: Redis):
    queues = RedisQueues(own_redis.url, {})
    async with queues.sending() as send:
        await send([message("before")])
        own_redis.kill9()
        with pytest.raises(QueueUnavailable):
            await send([message("lost")])
        # It keeps nothing.
        own_redis.start()
        await send([message("by a new connection")])
        assert queues.waiting(IMAGES) == 1
        own_redis.kill9()
        own_redis.start()
        await send([message("by one that is gone")])
        assert queues.waiting(IMAGES) == 1
    queues.close()


async def test_it_ends_though_the_connection_does_not_close(monkeypatch: pytest.MonkeyPatch):
    async def hang(_client: redis.asyncio.Redis) -> None:
        raise redis.TimeoutError("as over TLS")

    monkeypatch.setattr(redis.asyncio.Redis, "aclose", hang)
    async with Sender(RedisQueues("redis://127.0.0.1:1", {})).running():
        pass
