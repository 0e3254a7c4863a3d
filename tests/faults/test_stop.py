"""SIGTERM under load: what was accepted is done, no job is lost, and the process is out in time with 0."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import Connect, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, running
from tests.servers import MariaDB, Redis, wait_until

SHUTDOWN_SECONDS = 6
CREATORS = 12
SETTLED = in_phase("AWAITING_SELECTION")


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
        with running(tmp_path, {**settings, "SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS)}, served=True) as program:
            client = connect(program)
            request_id = await client.created("away delay=1")
            await client.follow(request_id, lambda event: event["name"] == "image:generating")
            await asyncio.to_thread(mariadb.kill9)
            await asyncio.gather(*(stop(process, SHUTDOWN_SECONDS) for process in (program.api, program.worker)))
            assert "Traceback" not in program.log, program.log
            await asyncio.to_thread(mariadb.start)
            await asyncio.to_thread(program.start)
            assert_whole(await client.follow(request_id, SETTLED))
