"""A worker killed at any stage of a model: the job is submitted once, and resumed by the provider's id of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Bucket, Connect, Tencent, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, names, running
from tests.servers import wait_until
from tests.standins.faults import Fault
from tests.standins.tencent import Script

SUBMIT, QUERY = "SubmitHunyuanTo3DProJob", "QueryHunyuanTo3DProJob"


def at_stage(stage: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["name"] == "model:progress" and event["stage"] == stage


class Model:
    """A request whose first picture is selected when the test says so."""

    def __init__(self, client: Client, request_id: str, sequence: int, picture: bytes) -> None:
        self.client = client
        self.id = request_id
        self.sequence = sequence
        self.hash = hashlib.sha256(picture).hexdigest()

    async def select(self) -> None:
        assert (await self.client.select(self.id, 0))["userErrors"] == []

    async def reach(self, until: Callable[[dict[str, Any]], bool]) -> None:
        self.sequence = (await self.client.follow(self.id, until, after=self.sequence))[-1]["sequence"]

    async def ended(self) -> dict[str, Any]:
        """The newest model, when it has ended."""
        await self.reach(in_phase("COMPLETED", "AWAITING_SELECTION"))
        return max((await self.client.request(self.id))["models"], key=lambda model: model["id"])


async def drawn(client: Client, prompt: str) -> Model:
    request_id = await client.created(prompt)
    events = await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    image = (await client.request(request_id))["images"][0]
    async with httpx.AsyncClient() as browser:
        picture = (await browser.get(image["imageUrl"])).content
    return Model(client, request_id, events[-1]["sequence"], picture)


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path, tencent: Tencent, bucket: Bucket) -> Iterator[Program]:
    quick = {"LEASE_SECONDS": "2", "SWEEP_SECONDS": "0.5"}
    environment = {**servers(request, "served"), **tencent.settings, **bucket.settings, **quick}
    with running(tmp_path, environment, served=True) as program:
        yield program


async def test_killed_at_every_stage(program: Program, connect: Connect, tencent: Tencent, bucket: Bucket) -> None:
    client = connect(program)
    stages = ("unsubmitted", "in flight", "answered", "polling", "downloading", "preparing", "uploading")
    found = await asyncio.gather(*(drawn(client, f"killed while {stage}") for stage in stages))
    models = dict(zip(stages, found, strict=True))

    async def killed() -> None:
        await asyncio.to_thread(program.kill_worker)
        bucket.moto.resume()
        tencent.fail()
        await asyncio.to_thread(program.start_again)

    async def select(stage: str, reaches: str) -> None:
        """Select, and wait until the service is called so."""
        calls = tencent.app.arrivals[reaches]
        await models[stage].select()
        await asyncio.to_thread(
            wait_until, lambda: tencent.app.arrivals[reaches] > calls, 30, lambda: f"{stage}:\n{program.log}"
        )

    # The bucket does not answer: one model's files cannot be stored, and another's picture cannot be read.
    tencent.script = Script(timeline=["DONE"])
    await select("uploading", reaches="file")
    bucket.moto.pause()
    await models["uploading"].reach(at_stage("UPLOADING"))
    await models["unsubmitted"].select()
    await models["unsubmitted"].reach(lambda event: event["name"] == "model:generating")
    await killed()
    assert (await models["uploading"].ended())["status"] == "COMPLETED"
    assert (await models["unsubmitted"].ended())["status"] == "COMPLETED"

    # The service does not answer: not with a file, not after a job that it has, not to a submit.
    tencent.script = Script(timeline=["DONE"])
    for stage, call in (("downloading", "file"), ("answered", QUERY), ("in flight", SUBMIT)):
        tencent.fail(Fault("hang", call))
        await select(stage, reaches=call)
    await killed()
    assert (await models["downloading"].ended())["status"] == "COMPLETED"
    assert (await models["answered"].ended())["status"] == "COMPLETED"
    lost = await models["in flight"].ended()
    assert (lost["status"], lost["failure"]["code"]) == ("FAILED", "OUTCOME_UNKNOWN")
    assert models["in flight"].hash not in tencent.submits

    # It takes its time.
    tencent.script = Script(timeline=["DONE"], results=[("GLB", "large.glb")])
    await select("preparing", reaches="file")
    tencent.script = Script(timeline=["RUN"] * 5 + ["DONE"])
    await select("polling", reaches=QUERY)
    await models["preparing"].reach(at_stage("PREPARING"))
    await killed()
    await models["in flight"].select()  # the user asks once more
    for stage in ("polling", "preparing", "in flight"):
        assert (await models[stage].ended())["status"] == "COMPLETED"

    assert tencent.submits == {model.hash: 1 for model in models.values()}
    assert tencent.app.arrivals[SUBMIT] == len(models) + 1
    for model in models.values():
        told = await client.stored_events(model.id)
        assert_whole(told)
        assert [model["job"]["attempts"] for model in (await client.request(model.id))["models"]] == [1] * names(
            told
        ).count("model:generating")
