"""One provider call for a job, however many workers, sweepers and messages there are, and whoever sleeps on it."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
import pytest
from dramatiq import Message
from sqlalchemy.engine import make_url

from tasks.broker import RedisQueues
from tests.acceptance.conftest import Connect, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, names, running
from tests.servers import wait_until

AWAITING = in_phase("AWAITING_SELECTION")
COMPLETED = in_phase("COMPLETED")


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An API and two workers, all of which sweep. Each test has its own word in its prompts."""
    # On a busy machine, a process that is not asleep may stand still for more than a second.
    quick = {"LEASE_SECONDS": "4", "SWEEP_SECONDS": "0.2", "MAX_ACTIVE_REQUESTS": "0"}
    with running(tmp_path_factory.mktemp("two"), {**servers(request, "served"), **quick}, served=True) as program:
        program.start_worker()
        yield program


def workers(program: Program) -> list[Any]:
    return [process for process in program.processes if "worker" in process.args]


def calls(program: Program, call: str, word: str) -> list[dict[str, Any]]:
    return [made for made in program.calls(call) if made["prompt"].startswith(word)]


def job_ids(program: Program, table: str) -> list[str]:
    url = make_url(program.environment["DATABASE_URL"])
    with (
        pymysql.connect(
            host=url.host,
            port=url.port or 3306,
            user=url.username,
            password=str(url.password),
            database=url.database,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT id FROM {table} WHERE status = 'PENDING'")
        return [row[0] for row in cursor.fetchall()]


async def send(program: Program, queue: str, actor: str, ids: Sequence[str]) -> None:
    queues = RedisQueues(program.environment["REDIS_URL"], {})
    try:
        async with queues.sending() as enqueue:
            await enqueue([Message(queue, actor, (job_id,), {}, {}) for job_id in ids])
    finally:
        queues.close()


async def test_messages_that_come_three_times(program: Program, connect: Connect) -> None:
    client = connect(program)

    async def thrice(queue: str, actor: str, table: str, count: int) -> None:
        """Deliver three more messages for each job that nobody has yet, and let everyone at them at once."""
        ids = await asyncio.to_thread(job_ids, program, table)
        assert len(ids) == count
        await send(program, queue, actor, ids * 3)
        for worker in workers(program):
            worker.send_signal(signal.SIGCONT)

    for worker in workers(program):
        worker.send_signal(signal.SIGSTOP)
    requests = [await client.created(f"thrice {number} delay=0.1") for number in range(3)]
    await thrice("images", "generate_image", "image_generation_jobs", 12)
    for request_id in requests:
        assert_whole(await client.follow(request_id, AWAITING))
    for worker in workers(program):
        worker.send_signal(signal.SIGSTOP)
    for request_id in requests:
        assert (await client.select(request_id, 0))["userErrors"] == []
    await thrice("models", "generate_model", "model_generation_jobs", 3)
    for request_id in requests:
        events = await client.follow(request_id, COMPLETED)
        assert_whole(events)
        assert names(events).count("model:generating") == 1
    assert set(Counter((call["prompt"], call["index"]) for call in calls(program, "image", "thrice")).values()) == {1}
    assert len(calls(program, "image", "thrice")) == 12
    assert set(Counter(call["prompt"] for call in calls(program, "submit", "thrice")).values()) == {1}


async def before_and_after(client: Client, request_id: str, wake: Any) -> None:
    """What anyone may see of a request stays as it was when a worker wakes that was asleep."""
    before = await seen(client, request_id)
    program = client.program
    count = program.log.count("job lost")
    wake.send_signal(signal.SIGCONT)
    await asyncio.to_thread(wait_until, lambda: program.log.count("job lost") > count, 20, lambda: program.log)
    assert await seen(client, request_id) == before


async def seen(client: Client, request_id: str) -> tuple[Any, Any]:
    # The link to the stream carries the time at which it was made.
    request = {**await client.request(request_id), "eventsUrl": ""}
    return request, await client.stored_events(request_id)


def stored(program: Program, request_id: str) -> int:
    return sum(path.is_file() for path in (program.folder / "files" / "requests" / request_id).rglob("*"))


async def asleep(program: Program, call: str, word: str, index: int | None = None) -> Any:
    """The worker that makes such a call, put to sleep amid it."""

    def made() -> list[int]:
        return [made["pid"] for made in calls(program, call, word) if index in (None, made.get("index"))]

    await asyncio.to_thread(wait_until, lambda: len(made()) == 1, 20, lambda: program.log)
    [pid] = made()
    worker = next(worker for worker in workers(program) if worker.pid == pid)
    worker.send_signal(signal.SIGSTOP)
    return worker


async def test_a_worker_that_sleeps_past_its_lease(program: Program, connect: Connect) -> None:
    """Amid a picture: another draws it meanwhile, and what the sleeper draws is dropped."""
    client = connect(program)
    request_id = await client.created("drawing delay:0=1 fail:1 fail:2 fail:3")
    sleeper = await asleep(program, "image", "drawing", 0)
    events = await client.follow(request_id, AWAITING)
    assert_whole(events)
    assert names(events).count("image:completed") == 1
    await before_and_after(client, request_id, sleeper)
    # What came late goes.
    await asyncio.to_thread(wait_until, lambda: stored(program, request_id) == 1, 20, lambda: program.log)


async def test_a_worker_that_sleeps_amid_a_submit(program: Program, connect: Connect) -> None:
    """Nobody knows whether the provider was asked: it is not asked again, and the sleeper's answer comes too late."""
    client = connect(program)
    request_id = await client.created("submitting submit-delay=1")
    await client.follow(request_id, AWAITING)
    await client.select(request_id, 0)
    sleeper = await asleep(program, "submit", "submitting")
    events = await client.follow(request_id, lambda event: event["name"] == "model:failed")
    assert_whole(events)
    await before_and_after(client, request_id, sleeper)
    [model] = (await client.request(request_id))["models"]
    assert (model["status"], model["failure"]["code"]) == ("FAILED", "OUTCOME_UNKNOWN")
    assert len(calls(program, "submit", "submitting")) == 1


async def test_a_worker_that_sleeps_while_it_polls(program: Program, connect: Connect) -> None:
    """Another goes on polling the same job of the provider, and finishes it."""
    client = connect(program)
    request_id = await client.created("polling model-delay=2.5")
    await client.follow(request_id, AWAITING)
    await client.select(request_id, 0)
    sleeper = await asleep(program, "submit", "polling")
    # The provider's answer to the submit may be on its way: let it be noted first.
    sleeper.send_signal(signal.SIGCONT)
    await client.follow(request_id, lambda event: event["name"] == "model:progress")
    sleeper.send_signal(signal.SIGSTOP)
    events = await client.follow(request_id, COMPLETED)
    assert_whole(events)
    await before_and_after(client, request_id, sleeper)
    assert len(calls(program, "submit", "polling")) == 1
    assert stored(program, request_id) == 4 + 5
