"""Redis away, or silent: requests are created, queries answered, streams follow the rows; then all is as it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Connect
from tests.acceptance.program import Client, Program, assert_whole, in_phase, running
from tests.servers import MariaDB, Redis
from tests.waiting import until

SETTLED = in_phase("AWAITING_SELECTION")
CANCELLED = in_phase("CANCELLED")
SECONDS = 5


@pytest.fixture
def apart(tmp_path: Path, mariadb: MariaDB) -> Iterator[tuple[Program, Redis]]:
    with Redis() as redis:
        settings = {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis.url}
        with running(tmp_path, settings, served=True) as program:
            yield program, redis


async def followed(client: Client, request_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return await asyncio.gather(
        client.follow(request_id, CANCELLED), client.sse(f"/requests/{request_id}/events", CANCELLED)
    )


async def ready(client: Client) -> bool:
    return (await client.http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_redis_away_and_back(apart: tuple[Program, Redis], connect: Connect, how: str) -> None:
    program, redis = apart
    client = connect(program)
    before = await client.created("before")
    await client.follow(before, SETTLED)
    following = asyncio.create_task(followed(client, before))
    await asyncio.to_thread(redis.kill9 if how == "killed" else redis.pause)

    async with asyncio.timeout(SECONDS):
        meanwhile = [await client.created(f"meanwhile {number}") for number in range(3)]
        assert (await client.request(before))["phase"] == "AWAITING_SELECTION"
        await client.cancel(before)
    async with asyncio.timeout(2 * SECONDS):
        over_websocket, over_sse = await following
    assert_whole(over_websocket)
    assert_whole(over_sse)
    assert len(over_websocket) == len(over_sse)
    answer = (await client.http.get("/readyz")).json()
    assert (answer["database"], answer["redis"] == "ok") == ("ok", False)

    await asyncio.to_thread(redis.start if how == "killed" else redis.resume)
    for request_id in meanwhile:
        assert_whole(await client.follow(request_id, SETTLED))
    await until(lambda: ready(client), 30)
    # Nothing has to be swept or looked up any more: a request goes its way faster than either would come to it.
    quick = 0
    async with asyncio.timeout(60):
        while quick < 3:
            began = time.monotonic()
            assert_whole(await client.follow(await client.created("after"), SETTLED))
            quick = quick + 1 if time.monotonic() - began < 1 else 0
