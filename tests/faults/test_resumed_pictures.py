"""A worker that dies, stops or runs out of time over a picture: the job is submitted once, and asked after on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Connect, Tencent, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, names, running
from tests.servers import wait_until
from tests.standins.faults import Fault
from tests.standins.tencent import Script
from tests.waiting import until

SUBMIT, QUERY = "SubmitTextToImageJob", "QueryTextToImageJob"
UNDER_WAY, DONE = ["RUN"], ["DONE"]


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path, tencent: Tencent) -> Iterator[Program]:
    quick = {"LEASE_SECONDS": "2", "SWEEP_SECONDS": "0.5", "SHUTDOWN_SECONDS": "2", "IMAGE_TIMEOUT_SECONDS": "6"}
    services = {**tencent.settings, "IMAGE_PROVIDER": "tencent"}
    with running(tmp_path, {**servers(request, "served"), **services, **quick}, served=True) as program:
        yield program


async def called(program: Program, tencent: Tencent, call: str, count: int = 1) -> None:
    await asyncio.to_thread(wait_until, lambda: tencent.app.arrivals[call] >= count, 30, lambda: program.log)


async def killed(program: Program, tencent: Tencent, timeline: list[str]) -> None:
    """Kill -9 who does the jobs, and start it again, with a service that does as it should."""
    await asyncio.to_thread(program.kill_worker)
    tencent.fail()
    tencent.script = Script(timeline=timeline)
    await asyncio.to_thread(program.start_again)


async def stopped(program: Program, tencent: Tencent, timeline: list[str]) -> None:
    """Stop it with SIGTERM instead, while a call hangs for longer than the grace."""
    process = program.worker
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    tencent.fail()
    tencent.script = Script(timeline=timeline)
    await asyncio.to_thread(program.start_again)


async def drawn(client: Client, request_id: str) -> list[dict[str, Any]]:
    """The images, when they have ended."""
    assert_whole(await client.follow(request_id, in_phase("AWAITING_SELECTION")))
    return (await client.request(request_id))["images"]


@pytest.mark.parametrize("end", [killed, stopped])
async def test_ended_while_the_picture_is_asked_after(
    program: Program, connect: Connect, tencent: Tencent, end: Any
) -> None:
    client = connect(program)
    tencent.script = Script(timeline=UNDER_WAY)
    tencent.fail(Fault("hang", QUERY))
    request_id = await client.created("an owl")
    await called(program, tencent, QUERY)
    await end(program, tencent, DONE)
    images = await drawn(client, request_id)
    assert [(image["imageStatus"], image["job"]["attempts"]) for image in images] == [("COMPLETED", 1)] * 4
    assert list(tencent.submits.values()) == [1] * 4
    assert tencent.app.arrivals[SUBMIT] == 4


@pytest.mark.parametrize("end", [killed, stopped])
async def test_ended_amid_the_submit(program: Program, connect: Connect, tencent: Tencent, end: Any) -> None:
    client = connect(program)
    tencent.fail(Fault("hang", SUBMIT))
    request_id = await client.created("an owl")
    await called(program, tencent, SUBMIT)
    await end(program, tencent, DONE)
    images = await drawn(client, request_id)
    [lost] = [image for image in images if image["imageStatus"] != "COMPLETED"]
    assert (lost["imageStatus"], lost["failure"]["code"]) == ("FAILED", "OUTCOME_UNKNOWN")
    assert (tencent.app.arrivals[SUBMIT], list(tencent.submits.values())) == (4, [1] * 3)
    # The user asks once more.
    sequence = (await client.request(request_id))["lastEventSequence"]
    assert (await client.retry(lost["id"]))["userErrors"] == []
    await client.follow(request_id, in_phase("AWAITING_SELECTION"), after=sequence)
    assert {image["imageStatus"] for image in (await client.request(request_id))["images"]} == {"COMPLETED"}
    assert (tencent.app.arrivals[SUBMIT], list(tencent.submits.values())) == (5, [1] * 4)


async def test_a_picture_that_outlasts_an_attempt(program: Program, connect: Connect, tencent: Tencent) -> None:
    client = connect(program)
    tencent.script = Script(timeline=UNDER_WAY)
    request_id = await client.created("an owl")
    await called(program, tencent, QUERY)
    [job] = tencent.jobs.values()

    async def timed_out() -> bool:
        images = (await client.request(request_id))["images"]
        return any((image["job"]["failure"] or {}).get("code") == "TIMED_OUT" for image in images)

    await until(timed_out, 30)
    assert list(tencent.jobs.values()) == [job]
    tencent.script = Script(timeline=DONE)
    images = await drawn(client, request_id)
    assert [image["imageStatus"] for image in images] == ["COMPLETED"] * 4
    assert max(image["job"]["attempts"] for image in images) >= 2
    told = await client.stored_events(request_id)
    assert names(told).count("image:generating") == 4
    assert list(tencent.submits.values()) == [1] * 4
