"""The running worker in a test's own process, over SQLite: Dramatiq, queues in memory, real HTTP to the providers."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import aclosing, contextmanager, nullcontext
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from sqlalchemy import select

from db import creation, images, models, requests
from db.creation import NewRequest
from db.images import Drawn
from db.jobs import Terms
from db.log import read_events
from db.migrate import migrate
from db.queues import IMAGES
from db.records import Request
from db.tables import generated_images, image_generation_jobs, model_generation_jobs
from db.tables import models as model_rows
from events.follow import follow_request
from events.status import JobStatus
from events.types import EventData, ImageCompleted, ImageFailed, ModelCompleted, ModelFailed
from settings import Settings
from tasks.actors import generate_image, generate_model, queues
from tasks.resources import Resources, open_resources
from tasks.sweeper import sweeping
from tasks.worker import working
from tasks.worker_context import current
from tests.waiting import until

SECONDS = 60
DRAWN = (ImageCompleted, ImageFailed)
MADE = (ModelCompleted, ModelFailed)


class Bench:
    """A worker, and what a test does to it and asks of it."""

    def __init__(self, resources: Resources, folder: Path) -> None:
        self.resources = resources
        self.database = resources.database
        self.folder = folder

    async def draw(self, prompt: str = "a fox") -> tuple[str, str]:
        """Have one image drawn; returns the ids of its request and its job."""
        request, jobs = await self._created(prompt)
        self.resources.sender.send([generate_image.message(jobs[0])])
        return request.id, jobs[0]

    async def make(self, picture: bytes) -> tuple[str, str]:
        """Have a model made of a picture; returns the ids of its request and its job."""
        await self._at_rest()
        request, jobs = await self._created("a fox")
        claim = await images.claim(self.database, jobs[0], Terms(30, 30))
        assert claim is not None
        key = f"{claim.lease.prefix}.png"
        await self.resources.storage.put(key, picture, "image/png")
        await images.complete(self.database, Drawn(claim, key))
        return request.id, await self.select(request.id)

    async def _at_rest(self) -> None:
        """Wait until the worker is done with an earlier test's images: each calls for the next one that is due."""
        sender, queue, places = self.resources.sender, queues.queues[IMAGES], current().places
        await until(lambda: sender._is_idle.is_set() and not (places._jobs or queue.unfinished_tasks), SECONDS)

    async def redraw(self, request_id: str) -> None:
        """Retry a request's failed image."""
        async with self.database.reading() as connection:
            image_id = await connection.scalar(
                select(generated_images.c.id).where(generated_images.c.request_id == request_id)
            )
        image = await images.retry(self.database, "ada", str(image_id), 0)
        self.resources.sender.send([generate_image.message(image.job.id)])

    async def _created(self, prompt: str) -> tuple[Request, list[str]]:
        new = NewRequest("ada", prompt, False, None, prompt, (prompt,))
        return await creation.create(self.database, new, 0, 3)

    async def select(self, request_id: str) -> str:
        _, _, job_id = await models.select_image(self.database, "ada", request_id, 0, 100, 0, 3)
        self.resources.sender.send([generate_model.message(job_id)])
        return job_id

    async def cancel(self, request_id: str) -> None:
        await requests.cancel(self.database, "ada", request_id)

    async def events(self, request_id: str) -> list[EventData]:
        return [event.data for event in await read_events(self.database, request_id, 0)]

    async def ended(self, request_id: str, ends: tuple[type, ...], count: int = 1) -> list[EventData]:
        """The events of a request up to the `count`th of these kinds."""
        read = partial(read_events, self.database)
        told: list[EventData] = []
        follow = follow_request(self.resources.hub, request_id, 0, read)
        async with asyncio.timeout(SECONDS), aclosing(follow) as events:
            async for event in events:
                told.append(event.data)
                if sum(isinstance(data, ends) for data in told) == count:
                    return told
        raise AssertionError(told)

    async def job(self, job_id: str) -> Any:
        async with self.database.reading() as connection:
            for table in (image_generation_jobs, model_generation_jobs):
                row = (await connection.execute(select(table).where(table.c.id == job_id))).first()
                if row is not None:
                    return row
        raise AssertionError(f"no job {job_id}")

    async def given_back(self, job_id: str) -> Any:
        """The job's row once an attempt has failed and another is to come."""

        async def has_failed() -> bool:
            row = await self.job(job_id)
            assert row.status in (JobStatus.PENDING, JobStatus.RUNNING), row
            return row.status is JobStatus.PENDING and row.failure is not None

        await until(has_failed, SECONDS)
        return await self.job(job_id)

    async def failure(self, request_id: str) -> str | None:
        """What the image or the model keeps of its failure."""
        async with self.database.reading() as connection:
            for table in (model_rows, generated_images):
                row = (
                    await connection.execute(select(table.c.failure).where(table.c.request_id == request_id))
                ).first()
                if row is not None and row.failure is not None:
                    return str(row.failure)
        return None

    async def picture(self, request_id: str) -> str:
        """The name of the file of a request's only picture."""
        keys = select(generated_images.c.key).where(generated_images.c.request_id == request_id)
        async with self.database.reading() as connection:
            [key] = await connection.scalars(keys.where(generated_images.c.key.is_not(None)))
        return PurePath(key).name

    def stored(self, request_id: str) -> list[Path]:
        return [path for path in (self.folder / "files" / "requests" / request_id).rglob("*") if path.is_file()]


def kinds(events: Iterable[EventData]) -> Counter[type]:
    return Counter(type(event) for event in events)


def fail() -> None:
    raise AssertionError("the log ran away")


class Far:
    """A bench on a loop that runs in a thread of its own all the time, where a test's stands still between tests."""

    def __init__(self, near: Bench, loop: asyncio.AbstractEventLoop) -> None:
        self._near = near
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._near, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(found(*arguments, **named), self._loop))

        return call


@contextmanager
def bench(folder: Path, *, sweeps: bool = False, **given: Any) -> Iterator[Far]:
    """A running worker with settings of the test's own; one at a time, as Dramatiq has one a process."""
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{folder}/maquette.db",
        storage_dir=folder / "files",
        work_dir=folder / "work",
        **{"retry_seconds": 0.01, "shutdown_seconds": 2} | given,
    )
    opened: Future[Far] = Future()
    stop = asyncio.Event()

    async def run() -> None:
        async with open_resources(settings, queues, listen=True) as resources:
            await migrate(resources.database)
            async with working(resources), sweeping(resources) if sweeps else nullcontext():
                opened.set_result(Far(Bench(resources, folder), asyncio.get_running_loop()))
                await stop.wait()

    with ThreadPoolExecutor(1) as executor:
        ended = executor.submit(asyncio.run, run())
        wait([opened, ended], SECONDS, FIRST_COMPLETED)
        if ended.done():
            ended.result()
        far = opened.result(0)
        try:
            yield far
        finally:
            far._loop.call_soon_threadsafe(stop.set)
            ended.result(SECONDS)
