"""SIGTERM under load: what was accepted is done, no job is lost, and the process is out in time with 0."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.acceptance.conftest import Bucket, Connect, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, running
from tests.servers import MariaDB, Redis, wait_until

SHUTDOWN_SECONDS = 6
PATIENT_SECONDS = 10
"""Where a worker uses most of its time: what is left is to be enough on a busy machine."""
CREATORS = 12
SETTLED = in_phase("AWAITING_SELECTION")
PROTOCOL = websockets.Subprotocol("graphql-transport-ws")
FOLLOW = "subscription ($id: ID!) { requestEvents(requestId: $id) { name sequence } }"


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    settings = {"SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS), "MAX_ACTIVE_REQUESTS": "0"}
    with running(tmp_path, {**servers(request, "served"), **settings}, served=True) as program:
        yield program


class Load:
    """Users who create requests as fast as they can; what they were told is kept."""

    def __init__(self, client: Client) -> None:
        self.accepted: dict[str, str] = {}
        self.unanswered: set[str] = set()
        self._client = client
        self._tasks = [asyncio.create_task(self._create(number)) for number in range(CREATORS)]

    async def _create(self, number: int) -> None:
        count = 0
        while True:
            prompt = f"load {number} {count} delay=0.2"
            try:
                payload = await self._client.create(prompt, idempotencyKey=prompt)
            except httpx.TransportError:
                # Nobody told whether it was accepted: the same key tells, once somebody answers again.
                self.unanswered.add(prompt)
                return
            assert payload["userErrors"] == []
            self.accepted[payload["request"]["id"]] = prompt
            count += 1

    async def ended(self) -> None:
        """Wait until the server is gone; raises where an answer was no answer."""
        await asyncio.gather(*self._tasks)


async def stop(process, within: float) -> None:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, within + 10) == 0
    assert time.monotonic() - began < within


async def test_the_api_under_load(program: Program, connect: Connect) -> None:
    client = connect(program)
    load = Load(client)
    await asyncio.to_thread(wait_until, lambda: len(load.accepted) > 3 * CREATORS, 30, lambda: program.log)
    await stop(program.api, SHUTDOWN_SECONDS)
    await load.ended()
    await asyncio.to_thread(program.start_api)
    for prompt in load.unanswered:
        load.accepted[await client.created(prompt, idempotencyKey=prompt)] = prompt
    for request_id, prompt in load.accepted.items():
        assert_whole(await client.follow(request_id, SETTLED))
        assert (await client.request(request_id))["originalPrompt"] == prompt
    assert max(Counter((call["prompt"], call["index"]) for call in program.calls("image")).values()) == 1
    assert "Traceback" not in program.log


async def test_the_worker_under_load(program: Program, connect: Connect) -> None:
    client = connect(program)
    ids = [await client.created(f"work {number} delay=0.5 model-delay=2") for number in range(8)]
    await client.follow(ids[0], SETTLED)
    assert (await client.select(ids[0], 0))["userErrors"] == []
    await client.follow(ids[0], lambda event: event["name"] == "model:progress")
    await stop(program.worker, SHUTDOWN_SECONDS)
    await asyncio.to_thread(program.start_worker)
    for request_id in ids:
        assert_whole(await client.follow(request_id, SETTLED))
        images = (await client.request(request_id))["images"]
        assert {(image["imageStatus"], image["job"]["attempts"]) for image in images} == {("COMPLETED", 1)}
    assert_whole(await client.follow(ids[0], in_phase("COMPLETED")))
    assert len(program.calls("submit")) == 1
    assert "Traceback" not in program.log


async def test_a_call_and_a_job_that_take_long_are_waited_for_together(tmp_path: Path, connect: Connect) -> None:
    with running(tmp_path, {"SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS)}, served=False) as program:
        client = connect(program)
        request_id = await client.created("in hand delay=8")
        await client.follow(request_id, lambda event: event["name"] == "image:generating")
        calling = asyncio.create_task(client.created("called prompt-delay=4"))
        await asyncio.to_thread(wait_until, lambda: bool(program.calls("prompt")), 10, lambda: program.log)
        await stop(program.api, SHUTDOWN_SECONDS)
        called_id = await calling
        await asyncio.to_thread(program.start_api)
        for each in (request_id, called_id):
            assert_whole(await client.follow(each, SETTLED))


async def test_while_the_database_is_away(tmp_path: Path, redis_server: Redis, connect: Connect) -> None:
    with MariaDB() as mariadb:
        settings = {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis_server.new_database()}
        with running(tmp_path, {**settings, "SHUTDOWN_SECONDS": str(PATIENT_SECONDS)}, served=True) as program:
            client = connect(program)
            request_id = await client.created("away delay=1")
            await client.follow(request_id, lambda event: event["name"] == "image:generating")
            await asyncio.to_thread(mariadb.kill9)
            await asyncio.gather(*(stop(process, PATIENT_SECONDS) for process in (program.api, program.worker)))
            assert "Traceback" not in program.log, program.log
            await asyncio.to_thread(mariadb.start)
            await asyncio.to_thread(program.start)
            assert_whole(await client.follow(request_id, SETTLED))


async def test_while_the_bucket_hangs(tmp_path: Path, bucket: Bucket, connect: Connect) -> None:
    settings = {**bucket.settings, "SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS)}
    with running(tmp_path, settings, served=False) as program:
        client = connect(program)
        bucket.moto.pause()
        try:
            ids = [await client.created(f"hanging {number}") for number in range(3)]
            for request_id in ids:
                await client.follow(request_id, lambda event: event["name"] == "image:generating")
            await stop(program.api, SHUTDOWN_SECONDS + 1)
        finally:
            bucket.moto.resume()
        await asyncio.to_thread(program.start_api)
        for request_id in ids:
            assert_whole(await client.follow(request_id, SETTLED))
        assert "Traceback" not in program.log


async def test_who_comes_while_it_stops_is_sent_elsewhere(program: Program, connect: Connect) -> None:
    """A client that does not read has the closes take a second. A `complete` would be the end for the others."""
    client = connect(program)
    request_id = await client.created("followed delay=60")
    reached: list[set[str]] = []

    async def follow(count: int) -> None:
        reached.append(set())
        with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed):
            async with websockets.connect(f"ws://127.0.0.1:{program.port}/graphql", subprotocols=[PROTOCOL]) as socket:
                await socket.send(json.dumps({"type": "connection_init"}))
                subscribe = {"query": FOLLOW, "variables": {"id": request_id}}
                await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))
                async for message in socket:
                    reached[count].add(json.loads(message)["type"])

    async with websockets.connect(f"ws://127.0.0.1:{program.port}/graphql", subprotocols=[PROTOCOL]) as silent:
        silent.transport.pause_reading()
        ping = json.dumps({"type": "ping", "payload": {"x": "y" * 100_000}})
        pings = asyncio.create_task(sent(silent, ping, 400))
        # It is full once its pings are no longer taken.
        await asyncio.wait({pings}, timeout=3)
        assert not pings.done()
        program.api.send_signal(signal.SIGTERM)
        comers = []
        while program.api.poll() is None and len(comers) < 100:
            comers.append(asyncio.create_task(follow(len(comers))))
            await asyncio.sleep(0.02)
        await asyncio.gather(*comers)
        pings.cancel()
    assert await asyncio.to_thread(program.api.wait, SHUTDOWN_SECONDS + 10) == 0
    assert len(reached) > 20
    assert "complete" not in set().union(*reached)


async def sent(socket: ClientConnection, message: str, count: int) -> None:
    with contextlib.suppress(ConnectionClosed):
        for _ in range(count):
            await socket.send(message)
