"""What becomes of an attempt and its files."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from db import images, jobs, lost
from db.jobs import Terms
from db.records import decode_failure
from db.tables import generated_images
from events.bus import Bus
from events.clock import utc_now
from events.hub import Hub
from events.outcome import FailureCode
from events.status import ImageStatus, JobStatus
from providers.protocol import ImageResult, ProviderError
from settings import Settings
from storage import StorageUnavailable, Stored
from storage.local import LocalStorage
from tasks.actors import generate_image
from tasks.broker import MemoryQueues
from tasks.images import generate
from tasks.resources import Resources
from tasks.sender import Sender
from tasks.worker_context import WorkerContext
from tests.rows import IMAGE_JOBS, ForgetfulDatabase, Told, abandon, claim_image, create, row, sqlite_url, write
from tests.scripted import picture
from tests.waiting import until


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


class Studio:
    """Takes jobs, and has them done when it is told to: a submit waits for `taken`, a picture for `drawn`."""

    def __init__(self) -> None:
        self.taken, self.drawn = asyncio.Event(), asyncio.Event()
        self.taken.set()
        self.submits: list[int] = []
        self.polls = 0
        self.failing: list[ProviderError] = []

    async def submit(self, prompt: str, index: int) -> str:
        self.submits.append(index)
        await self.taken.wait()
        if "vague" in prompt:
            raise ConnectionResetError("the line went dead")
        return f"their-{index}"

    async def poll(self, job_id: str) -> ImageResult | None:
        self.polls += 1
        if self.failing:
            raise self.failing.pop()
        return ImageResult(picture("an owl", int(job_id[-1]))) if self.drawn.is_set() else None

    async def aclose(self) -> None:
        pass


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[WorkerContext]:
    settings = Settings(_env_file=None, lease_seconds=0.3, image_timeout_seconds=30)
    hub = Hub()
    database = ForgetfulDatabase(sqlite_url(tmp_path), Told().append)
    database.event = "image:completed"
    queues = MemoryQueues({})
    storage = LocalStorage(tmp_path / "files")
    resources = Resources(settings, database, hub, Bus(hub, None), storage, queues, Sender(queues))
    yield WorkerContext(resources, Painter(), None)  # type: ignore[arg-type]
    await database.aclose()


async def work(context: WorkerContext, job_id: str) -> None:
    await generate(context, job_id, generate_image.message(job_id), lambda: None)


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


@pytest.mark.parametrize("fault", ["hangs", "is away"])
async def test_a_renewal_that_fails_is_tried_again_while_the_lease_lasts(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, fault: str
):
    lease_seconds, renew, tried = 9.0, jobs.renew, list[float]()
    loop = asyncio.get_running_loop()
    settings = context.settings.model_copy(update={"lease_seconds": lease_seconds})
    context = replace(context, resources=replace(context.resources, settings=settings))

    async def fail_first(*arguments: Any) -> None:
        tried.append(loop.time())
        if len(tried) > 1:
            return await renew(*arguments)
        if fault == "hangs":
            await asyncio.Event().wait()
        raise OSError("away")

    monkeypatch.setattr("tasks.attempt.jobs.renew", fail_first)
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: len(tried) > 1, lease_seconds)
    assert tried[1] - tried[0] < lease_seconds / 3
    context.images.go.set()  # type: ignore[attr-defined]
    await task
    assert (await row(context.database, IMAGE_JOBS, id=job_ids[0])).status is JobStatus.COMPLETED


@pytest.mark.parametrize("secret", [None, "x" * 32])
async def test_users_are_not_told_what_only_who_runs_it_may_know(
    context: WorkerContext, tmp_path: Path, secret: str | None
):
    (tmp_path / "files").write_bytes(b"in the way")
    settings = Settings(_env_file=None, lease_seconds=0.3, retry_seconds=0.01, jwt_secret=secret)
    context = replace(context, resources=replace(context.resources, settings=settings))
    context.images.go.set()  # type: ignore[attr-defined]
    _, job_ids = await create(context.database)
    await work(context, job_ids[0])
    failure = decode_failure((await row(context.database, IMAGE_JOBS, id=job_ids[0])).failure)
    assert failure is not None
    assert failure.code is FailureCode.STORAGE_UNAVAILABLE
    assert (str(tmp_path) in failure.message) == (secret is None)


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
    assert await images.claim(context.database, job_ids[0], Terms(30, 30)) is not None


async def test_a_provider_that_wants_half_an_hour_gets_five_minutes(context: WorkerContext):
    class Busy(Painter):
        async def generate(self, prompt: str, index: int) -> ImageResult:
            raise ProviderError(FailureCode.PROVIDER_UNAVAILABLE, "Come back later.", True, retry_after=1800)

    _, job_ids = await create(context.database)
    before = utc_now()
    await work(replace(context, images=Busy()), job_ids[0])
    job = await row(context.database, IMAGE_JOBS, id=job_ids[0])
    assert timedelta(minutes=4) < job.available_at - before < timedelta(minutes=6)
    assert await images.claim(context.database, job_ids[0], Terms(30, 30)) is None
    assert job_ids[0] not in await lost.recover(context.database, IMAGE_JOBS, 0, 0, utc_now())


async def away_past_the_deadline(
    context: WorkerContext, job_id: str, monkeypatch: pytest.MonkeyPatch, then: asyncio.Event
) -> None:
    """Have the database take no writes from now until the job's deadline is over; `then` is set meanwhile."""
    deadline = (await job_of(context, job_id)).deadline_at

    @asynccontextmanager
    async def refused() -> AsyncIterator[None]:
        raise ConnectionRefusedError
        yield

    with monkeypatch.context() as away:
        away.setattr(context.database, "transaction", refused)
        then.set()
        await until(lambda: utc_now() > deadline + timedelta(seconds=0.1))


async def test_a_picture_that_is_there_is_kept_however_long_the_database_is_away(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
):
    context = impatient(context, 0.5)
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: context.images.asked)
    await away_past_the_deadline(context, job_ids[0], monkeypatch, context.images.go)
    await task
    assert (await job_of(context, job_ids[0])).status is JobStatus.COMPLETED
    assert context.images.asked == 1


@pytest.mark.parametrize("landed", [False, True])
async def test_a_storage_that_is_away_for_a_moment_has_nothing_drawn_again(
    context: WorkerContext, tmp_path: Path, landed: bool
):
    class Shaky(LocalStorage):
        faults = 2

        async def put(self, key: str, source: Path | bytes, content_type: str) -> Stored:
            if self.faults:
                self.faults -= 1
                if landed:
                    await super().put(key, source, content_type)
                raise StorageUnavailable("no answer")
            return await super().put(key, source, content_type)

    context = impatient(context, 30)
    context = replace(context, resources=replace(context.resources, storage=Shaky(tmp_path / "files")))
    context.images.go.set()
    request_id, job_ids = await create(context.database)
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, context.images.asked) == (JobStatus.COMPLETED, 1, 1)
    image = await row(context.database, generated_images, request_id=request_id, index=0)
    assert await context.storage.read(image.key, 1 << 20) == picture("an owl", 0)


async def test_a_disk_that_keeps_half_a_picture_is_named_as_the_cause(
    context: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As where it has turned read-only: what could not be written cannot be removed either."""

    def fails(number: int) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return call

    context = impatient(context, 30)
    context.images.go.set()
    _, job_ids = await create(context.database)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails(errno.EIO))
        patch.setattr(Path, "unlink", fails(errno.EROFS))
        await work(context, job_ids[0])
    failure = decode_failure((await job_of(context, job_ids[0])).failure)
    assert failure.code is FailureCode.STORAGE_UNAVAILABLE
    assert "Input/output error" in failure.message
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] != []


async def test_who_hangs_past_the_deadline_does_not_keep_the_lease(context: WorkerContext, tmp_path: Path):
    class Hanging(LocalStorage):
        free = asyncio.Event()

        async def put(self, key: str, source: Path | bytes, content_type: str) -> Stored:
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                await self.free.wait()  # as for a thread that is amid a system call
                raise
            return await super().put(key, source, content_type)

    context = impatient(context, 0.2)
    storage = Hanging(tmp_path / "files")
    context = replace(context, resources=replace(context.resources, storage=storage))
    context.images.go.set()
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))

    async def has_run_out() -> bool:
        job = await job_of(context, job_ids[0])
        return job.lease_expires_at is not None and job.lease_expires_at < utc_now()

    await until(has_run_out)
    storage.free.set()
    await task
    assert decode_failure((await job_of(context, job_ids[0])).failure).code is FailureCode.TIMED_OUT


async def test_a_take_over_with_no_time_left_asks_for_nothing(context: WorkerContext):
    _, job_ids = await create(context.database)
    await claim_image(context.database, job_ids[0])
    await write(context.database, IMAGE_JOBS, job_ids[0], deadline_at=utc_now() - timedelta(seconds=60))
    await abandon(context.database, IMAGE_JOBS, job_ids[0])
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, context.images.asked) == (JobStatus.PENDING, 1, 0)
    assert decode_failure(job.failure).code is FailureCode.TIMED_OUT


@pytest.fixture
def studio(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> tuple[WorkerContext, Studio]:
    """A worker whose provider's jobs go on by themselves, and which need not wait long for one."""
    monkeypatch.setattr("tasks.images.FIRST_PAUSE_SECONDS", 0.01)
    painter = Studio()
    return replace(impatient(context, 30), images=painter), painter


def impatient(context: WorkerContext, seconds: float) -> WorkerContext:
    """The same worker, with so many seconds for an attempt, and without a pause before the next."""
    changes = {"image_timeout_seconds": seconds, "retry_seconds": 0}
    settings = context.settings.model_copy(update=changes)
    return replace(context, resources=replace(context.resources, settings=settings))


async def job_of(context: WorkerContext, job_id: str) -> Any:
    return await row(context.database, IMAGE_JOBS, id=job_id)


async def test_a_job_that_outlasts_an_attempt_is_asked_after_in_the_next(studio: tuple[WorkerContext, Studio]):
    context, painter = studio
    _, job_ids = await create(context.database)
    context = impatient(context, 0.3)
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, job.provider_job_id) == (JobStatus.PENDING, 1, "their-0")
    assert decode_failure(job.failure).code is FailureCode.TIMED_OUT  # type: ignore[union-attr]
    painter.drawn.set()
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, painter.submits) == (JobStatus.COMPLETED, 2, [0])


async def test_attempts_that_are_used_up_end_a_job_that_is_still_under_way(studio: tuple[WorkerContext, Studio]):
    context, painter = studio
    _, job_ids = await create(context.database, attempts=2)
    context = impatient(context, 0.2)
    for _ in range(2):
        await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, decode_failure(job.failure).code) == (JobStatus.FAILED, FailureCode.TIMED_OUT)  # type: ignore[union-attr]
    assert painter.submits == [0]
    painter.drawn.set()
    await images.retry(context.database, "ann", job.image_id, 0)
    await work(context, job_ids[0])
    assert (await job_of(context, job_ids[0])).status is JobStatus.COMPLETED
    assert painter.submits == [0, 0]


@pytest.mark.parametrize("ends", ["at its deadline", "with its worker"])
async def test_an_attempt_that_ends_amid_the_submit(studio: tuple[WorkerContext, Studio], ends: str):
    context, painter = studio
    painter.taken.clear()
    if ends == "at its deadline":
        context = impatient(context, 0.3)
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: painter.submits)
    if ends == "with its worker":
        [attempt] = context.in_hand
        attempt.cancel()
    await asyncio.wait_for(task, 5)
    painter.taken.set()
    painter.drawn.set()
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, decode_failure(job.failure).code) == (JobStatus.FAILED, FailureCode.OUTCOME_UNKNOWN)  # type: ignore[union-attr]
    assert "Retry the image" in job.failure
    assert painter.submits == [0]


async def test_an_attempt_goes_on_with_its_time_after_the_database_was_away_as_a_provider_answered(
    studio: tuple[WorkerContext, Studio], monkeypatch: pytest.MonkeyPatch
):
    context, painter = studio
    context = impatient(context, 0.5)
    painter.taken.clear()
    painter.drawn.set()
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: painter.submits)
    await away_past_the_deadline(context, job_ids[0], monkeypatch, painter.taken)
    await task
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, painter.submits) == (JobStatus.COMPLETED, 1, [0])


async def test_a_submit_that_costs_nothing_is_repeated(studio: tuple[WorkerContext, Studio]):
    context, painter = studio
    painter.free = True  # type: ignore[attr-defined]
    painter.taken.clear()
    painter.drawn.set()
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: painter.submits)
    [attempt] = context.in_hand
    attempt.cancel()
    await asyncio.wait_for(task, 5)
    painter.taken.set()
    await work(context, job_ids[0])
    assert (await job_of(context, job_ids[0])).status is JobStatus.COMPLETED


async def test_a_worker_that_stops_gives_back_a_picture_that_is_under_way(studio: tuple[WorkerContext, Studio]):
    context, painter = studio
    _, job_ids = await create(context.database)
    task = asyncio.create_task(work(context, job_ids[0]))
    await until(lambda: painter.polls)
    context.stopping.set()
    await asyncio.wait_for(task, 5)
    job = await job_of(context, job_ids[0])
    assert (job.status, job.attempts, job.provider_job_id) == (JobStatus.PENDING, 0, "their-0")
    context.stopping.clear()
    painter.drawn.set()
    await work(context, job_ids[0])
    assert (await job_of(context, job_ids[0])).status is JobStatus.COMPLETED
    assert painter.submits == [0]


async def test_a_worker_that_stops_begins_no_picture_that_waited_for_its_place(context: WorkerContext):
    _, job_ids = await create(context.database)
    context.stopping.set()
    await work(context, job_ids[0])
    assert (await job_of(context, job_ids[0])).status is JobStatus.PENDING
    assert context.images.asked == 0  # type: ignore[attr-defined]


async def test_what_becomes_of_errors_in_asking_after_a_picture(studio: tuple[WorkerContext, Studio]):
    """One that passes is asked through; only a job that has ended, and may be tried again, is submitted anew."""
    context, painter = studio
    painter.drawn.set()
    away = FailureCode.PROVIDER_UNAVAILABLE
    for errors, attempts, submits, status in (
        ([ProviderError(away, "Away.", True) for _ in range(3)], 1, 1, JobStatus.COMPLETED),
        ([ProviderError(away, "Failed.", True, job_ended=True)], 2, 2, JobStatus.COMPLETED),
        ([ProviderError(away, "Failed.", False, job_ended=True)], 1, 1, JobStatus.FAILED),
        ([ProviderError(away, "Refused.", False)], 1, 1, JobStatus.FAILED),
    ):
        painter.failing, painter.submits = errors, []
        _, job_ids = await create(context.database)
        for _ in range(attempts):
            await work(context, job_ids[0])
        job = await job_of(context, job_ids[0])
        assert (job.status, job.attempts, len(painter.submits)) == (status, attempts, submits)


async def test_a_provider_that_draws_in_one_call_has_nothing_noted(context: WorkerContext):
    _, job_ids = await create(context.database)
    context.images.go.set()  # type: ignore[attr-defined]
    await work(context, job_ids[0])
    job = await job_of(context, job_ids[0])
    assert (job.status, job.submit_begun_at, job.provider_job_id) == (JobStatus.COMPLETED, None, None)
