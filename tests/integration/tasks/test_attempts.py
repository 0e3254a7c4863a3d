"""What becomes of an attempt and its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from db import images
from db.session import Database, Transaction
from db.tables import generated_images
from events.bus import Bus
from events.hub import Hub
from events.status import ImageStatus, JobStatus
from providers.protocol import ImageResult
from settings import Settings
from storage.local import LocalStorage
from tasks.actors import generate_image
from tasks.broker import MemoryQueues
from tasks.images import generate
from tasks.resources import Resources
from tasks.sender import Sender
from tasks.worker_context import WorkerContext
from tests.rows import IMAGE_JOBS, Told, create, row, sqlite_url
from tests.scripted import picture
from tests.waiting import until


class ForgetfulDatabase(Database):
    """Its connection breaks after the commit, before the answer, as often as it is told."""

    breaks = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as transaction:
            yield transaction
        if self.breaks and any(event.name == "image:completed" for event in transaction.told):
            self.breaks -= 1
            raise ConnectionResetError("the answer to the commit was lost")


class Painter:
    """Draws when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def generate(self, prompt: str, index: int) -> ImageResult:
        self.asked += 1
        await self.go.wait()
        return ImageResult(content=picture(prompt, index))

    async def aclose(self) -> None:
        pass


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[WorkerContext]:
    settings = Settings(_env_file=None, lease_seconds=0.3, image_timeout_seconds=30)
    hub = Hub()
    database = ForgetfulDatabase(sqlite_url(tmp_path), Told().append)
    queues = MemoryQueues({})
    storage = LocalStorage(tmp_path / "files")
    resources = Resources(settings, database, hub, Bus(hub, None), storage, queues, Sender(queues))
    yield WorkerContext(resources, Painter(), None)  # type: ignore[arg-type]
    await database.aclose()


async def work(context: WorkerContext, job_id: str) -> None:
    await generate(context, job_id, generate_image.message(job_id))


async def test_a_commit_whose_answer_is_lost_keeps_the_picture(context: WorkerContext):
    request_id, job_ids = await create(context.database)
    context.database.breaks = 1  # type: ignore[attr-defined]
    context.images.go.set()  # type: ignore[attr-defined]
    await work(context, job_ids[0])
    image = await row(context.database, generated_images, request_id=request_id, index=0)
    assert image.status is ImageStatus.COMPLETED
    assert await context.storage.read(image.key, 1 << 20) == picture("an owl", 0)


async def test_a_lease_is_kept_while_the_work_lasts(context: WorkerContext):
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: context.images.asked)  # type: ignore[attr-defined]
    first = await row(context.database, IMAGE_JOBS, id=job_ids[0])

    async def renewed() -> bool:
        job = await row(context.database, IMAGE_JOBS, id=job_ids[0])
        return job.lease_expires_at > first.lease_expires_at and job.lease_token == first.lease_token

    await until(renewed)
    context.images.go.set()  # type: ignore[attr-defined]
    await task
    assert (await row(context.database, IMAGE_JOBS, id=job_ids[0])).status is JobStatus.COMPLETED


async def test_a_message_that_comes_twice_is_one_attempt(context: WorkerContext):
    _, job_ids = await create(context.database)
    context.images.go.set()  # type: ignore[attr-defined]
    await asyncio.gather(*(work(context, job_ids[0]) for _ in range(5)))
    await work(context, job_ids[0])
    assert context.images.asked == 1  # type: ignore[attr-defined]


async def test_a_lost_lease_stops_the_work_and_leaves_no_file(context: WorkerContext, tmp_path: Path):
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: context.images.asked)  # type: ignore[attr-defined]
    async with context.database.transaction() as transaction:
        await transaction.execute(IMAGE_JOBS.update().values(lease_token="another's"))
    await asyncio.wait_for(task, 5)
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def test_a_cancelled_attempt_is_given_back(context: WorkerContext):
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: context.in_hand)
    [attempt] = context.in_hand
    attempt.cancel()
    await asyncio.wait_for(task, 5)
    job = await row(context.database, IMAGE_JOBS, id=job_ids[0])
    assert (job.status, job.attempts, job.sent_at) == (JobStatus.PENDING, 0, None)
    assert await images.claim(context.database, job_ids[0], 30, 30) is not None
