"""Creating, selecting, trying again, cancelling and deleting in any order, beside faults at random moments.

A simple model of each request says what must be. Of what goes on meanwhile it knows only what was seen before.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.acceptance.program import SCRIPTED
from tests.faults.lives import MAY_FAIL_WITH, PATIENCE_SECONDS, UNDER_WAY, Client, tidy
from tests.faults.schedule import Schedule
from tests.faults.system import System
from tests.scripted import entries
from tests.waiting import until

T = TypeVar("T")
indexes = st.integers(0, 3)


@dataclass
class Expected:
    """What is known of a request: which pictures the painter refuses, whether the sculptor does, how it ended."""

    id: str
    prompt: str
    refused: frozenset[int]
    hopeless: bool
    cancelled: bool = False
    models: set[str] = field(default_factory=set)
    completed: int = 0


class Users(RuleBasedStateMachine):
    """Users of one system; `system` and `journal` are the class's."""

    system: System
    journal: Path
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = self.run(self.connected())
        self.requests: list[Expected] = []
        self.deleted: list[Expected] = []

    async def connected(self) -> Client:
        return Client(self.system)

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(step)

    def ask(self, name: str, gives: str, **given: Any) -> str | None:
        """The code of a refusal, None where there is none."""
        errors = self.run(self.client.mutate(name, gives, **given))["userErrors"]
        return errors[0]["code"] if errors else None

    def lost(self, refusal: str | None) -> set[str | None]:
        """What may be answered as well where the answer to the first asking was lost."""
        return {refusal} if self.client.repeated else set()

    def seen(self, expected: Expected) -> Any:
        request = self.run(self.client.request(expected.id))
        expected.models |= {model["id"] for model in request["models"]}
        assert (request["phase"] == "CANCELLED") == expected.cancelled
        return request

    @initialize()
    def begin(self) -> None:
        for refused, hopeless in (((), False), ((1,), True), ((0, 2, 3), False)):
            self.create(frozenset(refused), hopeless)

    @precondition(lambda self: len(self.requests) < 5)
    @rule(refused=st.frozensets(indexes, max_size=4), hopeless=st.booleans())
    def create(self, refused: frozenset[int], hopeless: bool) -> None:
        type(self).made += 1
        directives = [f"fail:{index}" for index in sorted(refused)] + ["model-fail"] * hopeless
        prompt = " ".join([f"request {self.made}", "model-delay=0.5", *directives])
        request_id = self.run(self.client.create(prompt))
        self.requests.append(Expected(request_id, prompt, refused, hopeless))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), index=indexes)
    def select(self, data: st.DataObject, index: int) -> None:
        expected = data.draw(st.sampled_from(self.requests))
        before = self.seen(expected)
        refusal = self.ask("selectImage", "model { id }", requestId=expected.id, index=index)
        there = before["images"][index]["imageStatus"] == "COMPLETED"
        if expected.cancelled:
            may = {"REQUEST_CANCELLED"}
        elif before["phase"] == "MODEL_GENERATION":
            may = {"MODEL_IN_PROGRESS", "IMAGE_NOT_READY", None}
        elif there:
            may = {None} | self.lost("MODEL_IN_PROGRESS")
        elif index in expected.refused:
            may = {"IMAGE_NOT_READY"}
        else:
            may = {"IMAGE_NOT_READY", None} | self.lost("MODEL_IN_PROGRESS")
        assert refusal in may, (refusal, may, before)

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), index=indexes)
    def retry(self, data: st.DataObject, index: int) -> None:
        expected = data.draw(st.sampled_from(self.requests))
        image = self.seen(expected)["images"][index]
        refusal = self.ask("retryImage", "image { id }", imageId=image["id"])
        if expected.cancelled:
            may = {"REQUEST_CANCELLED"}
        else:
            match image["imageStatus"]:
                case "FAILED":
                    may = {None} | self.lost("IMAGE_NOT_FAILED")
                case "COMPLETED":
                    may = {"IMAGE_NOT_FAILED"}
                case _:
                    may = {"IMAGE_NOT_FAILED", None}
        assert refusal in may, (refusal, may, image)

    @precondition(lambda self: len(self.requests) > 2)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        expected = data.draw(st.sampled_from(self.requests))
        phase = self.seen(expected)["phase"]
        refusal = self.ask("cancelRequest", "request { id }", requestId=expected.id)
        if expected.cancelled:
            may = {"REQUEST_CANCELLED"}
        elif phase == "COMPLETED":
            may = {"ALREADY_FINISHED"}
        else:
            may = {None} | self.lost("REQUEST_CANCELLED")
            may |= {"ALREADY_FINISHED"} if phase == "MODEL_GENERATION" else set()
        assert refusal in may, (refusal, may, phase)
        expected.cancelled = refusal in (None, "REQUEST_CANCELLED")

    @precondition(lambda self: len(self.requests) > 3)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        expected = data.draw(st.sampled_from(self.requests))
        self.seen(expected)
        refusal = self.ask("deleteRequest", "deletedRequestId", requestId=expected.id)
        assert refusal in {None} | self.lost("NOT_FOUND")
        self.requests.remove(expected)
        self.deleted.append(expected)
        assert self.ask("selectImage", "model { id }", requestId=expected.id, index=0) == "NOT_FOUND"

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        self.run(self.settled(data.draw(st.sampled_from(self.requests))))

    async def settled(self, expected: Expected) -> None:
        """At rest, everything is as the painter and the sculptor would have it, or a service's fault."""
        request: Any = None

        async def at_rest() -> bool:
            nonlocal request
            request = await self.client.request(expected.id)
            parts = {image["imageStatus"] for image in request["images"]}
            return request["phase"] not in UNDER_WAY and not {"PENDING", "GENERATING"} & parts

        await until(at_rest, PATIENCE_SECONDS)
        expected.models |= {model["id"] for model in request["models"]}
        for image in request["images"]:
            code = image["failure"]["code"] if image["failure"] else None
            match image["imageStatus"]:
                case "COMPLETED":
                    assert image["index"] not in expected.refused
                case "FAILED":
                    assert code in ({"CONTENT_REJECTED"} if image["index"] in expected.refused else MAY_FAIL_WITH)
                case status:
                    assert (status, expected.cancelled) == ("CANCELLED", True)
        expected.completed = sum(model["status"] == "COMPLETED" for model in request["models"])
        for model in request["models"]:
            match model["status"]:
                case "COMPLETED":
                    assert not expected.hopeless
                case "FAILED":
                    may = MAY_FAIL_WITH | ({"PROVIDER_REJECTED"} if expected.hopeless else set())
                    assert model["failure"]["code"] in may
                case status:
                    assert (status, expected.cancelled) == ("CANCELLED", True)
        await self.told(expected, request)

    async def told(self, expected: Expected, request: Any) -> None:
        events = await self.client.stored_events(expected.id)
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        ended = Counter(
            event.get("modelId") for event in events if event["name"] in ("model:completed", "model:failed")
        )
        assert ended == Counter(
            model["id"] for model in request["models"] if model["status"] in ("COMPLETED", "FAILED")
        )
        drawn = Counter(event["imageId"] for event in events if event["name"] == "image:completed")
        assert drawn == Counter(image["id"] for image in request["images"] if image["imageStatus"] == "COMPLETED")

    def teardown(self) -> None:
        for expected in self.requests:
            self.run(self.settled(expected))
            self.seen(expected)
        for expected in self.deleted:
            assert self.run(self.client.request(expected.id)) is None
        submits = Counter(call["prompt"] for call in entries(self.journal) if call["call"] == "submit")
        for expected in (*self.requests, *self.deleted):
            times = submits[expected.prompt]
            assert times >= expected.completed
            # A select may have come between the last look and the deletion.
            assert expected in self.deleted or times <= len(expected.models), (times, expected)
        self.run(self.client.aclose())
        self.loop.close()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scripted") / "journal"


@pytest.fixture(scope="module")
def scripted(journal: Path) -> Iterator[System]:
    with System(**{**SCRIPTED, "PROMPT_PROVIDER": "none", "SCRIPTED_JOURNAL": str(journal)}) as system:
        yield system


def in_any_order(system: System, journal: Path, seed: int, lives: int, steps: int) -> None:
    users = type("Users", (Users,), {"system": system, "journal": journal})
    schedule = Schedule(system, seed)
    print(f"SEED={seed}")  # noqa: T201  # what a failure is repeated with
    schedule.begin()
    try:
        run_state_machine_as_test(
            seeded(seed)(users),
            settings=settings(
                max_examples=lives,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                # What has happened once does not happen again, however often it is tried.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        schedule.finish()
        print(json.dumps(schedule.told, indent=1))  # noqa: T201  # how it came to that
    asyncio.run(tidy(system))


def test_a_few_steps(scripted: System, journal: Path, seed: int) -> None:
    in_any_order(scripted, journal, seed, lives=1, steps=30)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_steps(scripted: System, journal: Path, seed: int, minutes: float) -> None:
    """Some seconds each."""
    in_any_order(scripted, journal, seed, lives=max(1, round(15 * minutes)), steps=40)
