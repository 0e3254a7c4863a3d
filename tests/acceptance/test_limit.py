"""The account's limit over several workers, and each user in turn."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.acceptance.conftest import Connect, Tencent, servers
from tests.acceptance.program import Client, assert_whole, in_phase, running
from tests.servers import wait_until
from tests.standins.tencent import Script

SECRET = "a secret of thirty-two bytes and more"
MANY = 5
SECONDS = 0.4


def token(user: str) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + 600}, SECRET, "HS256")


async def picked(client: Client, prompt: str) -> tuple[str, str]:
    """A request that awaits its selection, and the SHA-256 of its first picture."""
    request_id = await client.created(prompt)
    await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    picture = (await client.request(request_id))["images"][0]["imageUrl"]
    return request_id, hashlib.sha256((await client.http.get(picture)).content).hexdigest()


async def completed(client: Client, request_id: str) -> dict[str, Any]:
    await client.follow(request_id, in_phase("COMPLETED", "CANCELLED"))
    return (await client.request(request_id))["models"][0]


def asked_after(tencent: Tencent) -> int:
    return sum(job.queries > 0 for job in tuple(tencent.jobs.values()))


async def test_two_workers_one_of_them_killed(
    request: pytest.FixtureRequest, tmp_path: Path, tencent: Tencent, connect: Connect
) -> None:
    tencent.script = Script(job_seconds=1.5)
    environment = {**servers(request, "served"), **tencent.settings, "JWT_SECRET": SECRET}
    with running(tmp_path, environment, served=True) as program:
        first = program.worker
        assert first is not None
        await asyncio.to_thread(program.start_worker)
        ada, bob = connect(program, token("ada")), connect(program, token("bob"))
        many = await asyncio.gather(*(picked(ada, f"ada's {number}") for number in range(MANY)))
        one = await picked(bob, "bob's")
        for request_id, _ in many:
            assert (await ada.select(request_id, 0))["userErrors"] == []
        assert (await bob.select(one[0], 0))["userErrors"] == []
        # Whoever was silent from now on has jobs at the provider whose ids are known.
        await asyncio.to_thread(wait_until, lambda: asked_after(tencent) == 3, 30, lambda: program.log)
        first.kill()
        models = await asyncio.gather(*(completed(ada, request_id) for request_id, _ in many), completed(bob, one[0]))
        assert {model["status"] for model in models} == {"COMPLETED"}
        assert {model["job"]["attempts"] for model in models} == {1}
    assert tencent.most_running["Pro"] <= 3
    assert sorted(tencent.submits.values()) == [1] * (MANY + 1)
    order = [job.input for job in tencent.jobs.values()]
    assert order.index(one[1]) <= 4, "bob waited for more than the jobs that ada had in hand"
    assert tencent.refusals.total() == 0


async def test_a_process_that_serves_and_works_draws_no_more_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, connect: Connect
) -> None:
    """It begins images of its own requests without a message, beside those that it fetches."""
    environment = {**servers(request, "served"), "MAX_ACTIVE_REQUESTS": "0", "IMAGE_CONCURRENCY": "5"}
    with running(tmp_path, environment, served=False) as program:
        await asyncio.to_thread(program.start_worker)
        client = connect(program)

        async def whole(number: int) -> None:
            await asyncio.sleep(number * 0.1)
            request_id = await client.created(f"number {number} delay={SECONDS}")
            assert_whole(await client.follow(request_id, in_phase("AWAITING_SELECTION")))

        await asyncio.gather(*(whole(number) for number in range(12)))
        calls = program.calls("image")
    assert len(calls) == 48
    assert len({call["pid"] for call in calls}) == 2, "what one has no room for, the other does"
    for call in calls:
        then = [one for one in calls if one["pid"] == call["pid"] and 0 <= call["time"] - one["time"] < SECONDS]
        assert len(then) <= 5
