"""Eager start: the worker of the process that creates a request begins its images, where it has room for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from db.log import read_events
from db.session import Database
from events.bus import Bus
from events.follow import follow_request
from events.hub import Head, Hub
from events.status import JobStatus, RequestStatus
from events.types import ImageCompleted, ImageGenerating, TaskUpdated
from providers.protocol import ImageResult
from settings import Settings
from storage.local import LocalStorage
from tasks.broker import MemoryQueues
from tasks.eager import EagerStart
from tasks.resources import Resources
from tasks.sender import Sender
from tasks.worker_context import WorkerContext
from tests.rows import IMAGE_JOBS, new_request, request_of, rows, sqlite_url
from tests.scripted import picture
from tests.waiting import until


class Painter:
    """Draws once it may."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.drawing = 0

    async def generate(self, prompt: str, index: int) -> ImageResult:
        self.drawing += 1
        await self.go.wait()
        self.drawing -= 1
        return ImageResult(content=picture(prompt, index))


class NoHeads:
    """Rows that nobody asks: what is heard came over the bus."""

    async def heads(self, _request_ids: Sequence[str]) -> Mapping[str, Head]:
        return {}

    async def user_heads(self, _user_ids: Sequence[str], _since: datetime) -> Mapping[str, Mapping[str, Head]]:
        return {}


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[WorkerContext]:
    settings = Settings(_env_file=None, image_concurrency=5, max_active_requests=0)
    hub = Hub()
    bus = Bus(hub, None)
    database = Database(sqlite_url(tmp_path), bus.publish)
    queues = MemoryQueues({})
    storage = LocalStorage(tmp_path / "files")
    resources = Resources(settings, database, hub, bus, storage, queues, Sender(queues))
    context = WorkerContext(resources, Painter(), None)  # type: ignore[arg-type]
    with resources.create_request.by(EagerStart(context).create_together):
        async with bus.running(NoHeads()):
            yield context
    context.images.go.set()  # type: ignore[attr-defined]
    await context.places.empty()
    await database.aclose()


async def test_the_images_of_a_request_begin_with_it(context: WorkerContext):
    resources = context.resources
    request, to_send = await resources.create_request(new_request())
    assert (request.status, request.last_event_sequence, to_send) == (RequestStatus.IMAGE_PENDING, 0, [])
    events = follow_request(resources.hub, request.id, 0, partial(read_events, context.database))
    context.images.go.set()  # type: ignore[attr-defined]
    async with asyncio.timeout(10), aclosing(events):
        told = [(await anext(events)).data for _ in range(9)]
    assert [type(data) for data in told] == [*[ImageGenerating] * 4, *[ImageCompleted] * 4, TaskUpdated]
    assert (await request_of(context.database, request.id)).status is RequestStatus.IMAGE_COMPLETED


async def test_what_there_is_no_room_for_is_sent(context: WorkerContext):
    created = await asyncio.gather(*(context.resources.create_request(new_request()) for _ in range(5)))
    assert sorted(len(to_send) for _, to_send in created) == [0, 4, 4, 4, 4], "five places are one request's"
    await until(lambda: context.images.drawing == 4)  # type: ignore[attr-defined]
    context.images.go.set()  # type: ignore[attr-defined]
    await context.places.empty()
    _, to_send = await context.resources.create_request(new_request())
    assert to_send == []


async def test_a_worker_that_stops_begins_nothing(context: WorkerContext):
    context.stopping.set()
    _, to_send = await context.resources.create_request(new_request())
    assert len(to_send) == 4


async def test_where_the_account_has_a_limit_each_waits_for_its_turn(context: WorkerContext):
    context.images.max_concurrent = 3  # type: ignore[attr-defined]
    _, to_send = await context.resources.create_request(new_request())
    assert len(to_send) == 4


async def test_a_create_that_fails_leaves_the_places_free(context: WorkerContext):
    context.images.go.set()  # type: ignore[attr-defined]
    first, _ = await context.resources.create_request(new_request(key="same"))
    await context.places.empty()
    # Its shared transaction fails for the key, and alone it finds the request that has it.
    again, to_send = await context.resources.create_request(new_request(key="same"))
    assert (again.id, to_send) == (first.id, [])
    assert await context.places.take(5)
    context.places.give_back(5)
    assert [job.status for job in await rows(context.database, IMAGE_JOBS)] == [JobStatus.COMPLETED] * 4
