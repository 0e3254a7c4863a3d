"""Nothing is lost or done twice, whatever dies."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.conftest import Connect, Start
from tests.acceptance.program import Program, assert_whole, in_phase, names, running
from tests.servers import MariaDB, Redis

AWAITING = in_phase("AWAITING_SELECTION")
COMPLETED = in_phase("COMPLETED")


async def test_a_worker_killed_amid_images(start: Start, connect: Connect) -> None:
    program = start()
    client = connect(program)
    request_id = await client.created("killed delay:0=2 delay:1=2")
    await client.follow(request_id, lambda event: event["name"] == "image:completed" and event["index"] == 3)
    done = {call["index"] for call in program.calls("image")} - {0, 1}
    await asyncio.to_thread(program.kill_worker)
    await asyncio.to_thread(program.start_again)
    events = await client.follow(request_id, AWAITING)
    assert_whole(events)
    assert Counter(names(events)) == {"image:generating": 4, "image:completed": 4, "task:updated": 1}
    calls = Counter(call["index"] for call in program.calls("image"))
    assert all(calls[index] == 1 for index in done & {3}), "a finished image was drawn again"
    assert {image["job"]["attempts"] for image in (await client.request(request_id))["images"]} == {1}


async def test_a_program_that_is_alone_waits_for_no_lease(tmp_path: Path, connect: Connect) -> None:
    """Whoever restarts a killed one is the one to go on: nobody else can have its jobs."""
    with running(tmp_path, {"LEASE_SECONDS": "300"}, served=False) as program:
        client = connect(program)
        request_id = await client.created("killed alone delay=2")
        await client.follow(request_id, lambda event: event["name"] == "image:generating")
        await asyncio.to_thread(program.kill_worker)
        await asyncio.to_thread(program.start_again)
        async with asyncio.timeout(60):
            assert_whole(await client.follow(request_id, in_phase("AWAITING_SELECTION")))
        images = (await client.request(request_id))["images"]
        assert {(image["imageStatus"], image["job"]["attempts"]) for image in images} == {("COMPLETED", 1)}


async def test_a_worker_killed_amid_a_model(start: Start, connect: Connect) -> None:
    program = start()
    client = connect(program)
    request_id = await client.created("killed later model-delay=3")
    events = await client.follow(request_id, AWAITING)
    await client.select(request_id, 1)
    await client.follow(request_id, lambda event: event["name"] == "model:progress")
    await asyncio.to_thread(program.kill_worker)
    await asyncio.to_thread(program.start_again)
    events += await client.follow(request_id, COMPLETED, after=events[-1]["sequence"])
    assert_whole(events)
    assert names(events).count("model:generating") == names(events).count("model:completed") == 1
    progress = [event["progress"] for event in events if event["name"] == "model:progress"]
    assert progress == sorted(progress)
    assert len(program.calls("submit")) == 1


async def test_a_stop_amid_work_loses_nothing(start: Start, connect: Connect) -> None:
    program = start(SHUTDOWN_SECONDS="4")
    client = connect(program)
    request_id = await client.created("stopped delay:0=20 model-delay=5")
    await client.follow(request_id, lambda event: event["name"] == "image:completed")
    other = await client.created("stopped too model-delay=5")
    await client.follow(other, AWAITING)
    await client.select(other, 0)
    await client.follow(other, lambda event: event["name"] == "model:progress")
    assert await asyncio.to_thread(program.stop) == [0] * (2 if program.served else 1)
    await asyncio.to_thread(program.start)
    events = await client.follow(other, COMPLETED)
    assert_whole(events)
    assert len(program.calls("submit")) == 1
    image = (await client.request(request_id))["images"][0]
    assert image["job"]["attempts"] == 1
    await client.cancel(request_id)


async def test_a_stop_ends_the_streams(start: Start, connect: Connect) -> None:
    program = start()
    client = connect(program)
    request_id = await client.created("followed to the end")
    await client.follow(request_id, AWAITING)
    async with client.socket() as socket, client.http.stream("GET", f"/requests/{request_id}/events") as sse:
        query = "subscription($id: ID!) { requestEvents(requestId: $id) { sequence } }"
        payload = {"query": query, "variables": {"id": request_id}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "next"
        lines = sse.aiter_lines()
        await anext(lines)
        stopped = asyncio.create_task(asyncio.to_thread(program.stop))
        async with asyncio.timeout(8):
            messages = [json.loads(text) async for text in socket]
            assert {message["type"] for message in messages} <= {"next"}
            assert socket.close_code == 1001
            assert [line async for line in lines]
            assert set(await stopped) == {0}


@pytest.fixture
def apart(tmp_path: Path, mariadb: MariaDB):
    """The served way, with a Redis of the test's own to break."""
    with Redis() as redis:
        environment = {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis.url}
        with running(tmp_path, environment, served=True) as program:
            yield program, redis


async def test_redis_emptied_with_jobs_waiting(apart: tuple[Program, Redis], connect: Connect) -> None:
    program, redis = apart
    client = connect(program)
    ids = [await client.created(f"emptied {number} delay=0.3") for number in range(6)]
    await asyncio.to_thread(redis.flushall)
    for request_id in ids:
        events = await client.follow(request_id, AWAITING)
        assert_whole(events)
    assert max(Counter((call["prompt"], call["index"]) for call in program.calls("image")).values()) == 1


async def test_the_database_away(tmp_path: Path, redis_server: Redis, connect: Connect) -> None:
    with MariaDB() as mariadb:
        environment = {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis_server.new_database()}
        with running(tmp_path, environment, served=True) as program:
            client = connect(program)
            request_id = await client.created("paid once delay=1.5")
            await client.follow(request_id, lambda event: event["name"] == "image:generating")
            await asyncio.to_thread(mariadb.kill9)
            answer = await client.execute("{ requests { edges { cursor } } }")
            assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            await asyncio.to_thread(mariadb.start)
            assert_whole(await client.follow(request_id, AWAITING))
            assert max(Counter(call["index"] for call in program.calls("image")).values()) == 1
