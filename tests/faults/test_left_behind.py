"""What a worker leaves behind that was killed, or whose storage was away: it goes, whoever is gone by then."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from db import files, images, jobs, models, requests
from db.images import Drawn
from db.queues import JOBS
from db.session import Database
from db.tables import file_deletions
from events.bus import Bus
from events.clock import utc_now
from events.hub import Hub
from events.outcome import Failure, FailureCode
from settings import Settings
from storage import StorageUnavailable
from storage.local import LocalStorage
from tasks.broker import MemoryQueues
from tasks.files import delete_left_over
from tasks.resources import Resources
from tasks.scratch import KEPT_SECONDS
from tasks.sender import Sender
from tasks.sweeper import sweeping
from tests.rows import (
    FAILURE,
    IMAGE_JOBS,
    LEASE_SECONDS,
    MODEL_JOBS,
    abandon,
    claim_image,
    claim_model,
    create,
    drawn,
    expire,
    row,
    rows,
    select_image,
    sqlite_url,
)
from tests.waiting import until
from tests.working import bench

AWAY = Failure(FailureCode.STORAGE_UNAVAILABLE, "The storage is away.", retryable=True)


def test_a_worker_that_starts_removes_old_folders_of_killed_ones(tmp_path: Path) -> None:
    old, young = (tmp_path / "work" / name for name in ("model-old", "model-young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "source").write_bytes(b"mesh")
    past = time.time() - KEPT_SECONDS - 60
    os.utime(old, (past, past))
    with bench(tmp_path):
        assert list((tmp_path / "work").iterdir()) == [young]


@pytest.fixture
async def resources(tmp_path: Path) -> AsyncIterator[Resources]:
    settings = Settings(_env_file=None, lease_seconds=LEASE_SECONDS)
    hub, queues = Hub(), MemoryQueues({})
    database = Database(sqlite_url(tmp_path), lambda _: None)
    yield Resources(settings, database, hub, Bus(hub, None), LocalStorage(tmp_path / "files"), queues, Sender(queues))
    await database.aclose()


async def left(resources: Resources) -> list[str]:
    return [row.prefix for row in await rows(resources.database, file_deletions)]


async def store(resources: Resources, prefix: str) -> str:
    """What a worker does just before it dies."""
    key = f"{prefix}.png"
    await resources.storage.put(key, b"picture", "image/png")
    return key


async def delete_once_late(resources: Resources) -> None:
    """What the sweeper does when no late worker can write any more."""
    async with resources.database.transaction() as transaction:
        past = utc_now() - timedelta(seconds=2 * LEASE_SECONDS)
        await transaction.execute(update(file_deletions).values(created_at=past))
    await delete_left_over(resources)


def stored(tmp_path: Path) -> list[str]:
    root = tmp_path / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_what_a_worker_stored_before_it_was_killed_goes_when_its_job_is_taken_over(
    resources: Resources, tmp_path: Path
) -> None:
    database = resources.database
    _, job_ids = await create(database)
    dead = await claim_image(database, job_ids[0])
    await store(resources, dead.lease.prefix)
    await abandon(database, IMAGE_JOBS, job_ids[0])
    heir = await claim_image(database, job_ids[0])
    key = await store(resources, heir.lease.prefix)
    await images.complete(database, Drawn(heir, key))
    await delete_left_over(resources)
    assert await left(resources) == [dead.lease.prefix], "a late worker may write once more"
    await delete_once_late(resources)
    assert stored(tmp_path) == [key]
    assert await left(resources) == []


@pytest.mark.parametrize("end", ["cancelled", "put off", "given back", "failed"])
async def test_what_an_attempt_stored_in_vain_goes_though_its_worker_is_killed(
    resources: Resources, tmp_path: Path, end: str
) -> None:
    database = resources.database
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    await store(resources, claim.lease.prefix)
    match end:
        case "cancelled":
            await requests.cancel(database, "ann", request_id)
        case "put off":
            await jobs.back_off(database, claim.lease, AWAY, 1, counts=True)
        case "given back":
            await jobs.give_back(database, claim.lease)
        case "failed":
            await images.fail(database, claim, AWAY)
    await delete_once_late(resources)
    assert stored(tmp_path) == []


async def test_half_a_model_goes(resources: Resources, tmp_path: Path) -> None:
    database = resources.database
    request_id = await drawn(database)
    claim = await claim_model(database, await select_image(database, request_id))
    await store(resources, f"{claim.lease.prefix}/model")
    await models.fail(database, claim, AWAY)
    await delete_once_late(resources)
    assert stored(tmp_path) == []


async def test_a_take_over_of_a_model_does_not_touch_the_pictures(resources: Resources, tmp_path: Path) -> None:
    database = resources.database
    request_id, job_ids = await create(database)
    image = await claim_image(database, job_ids[0])
    key = await store(resources, image.lease.prefix)
    await images.complete(database, Drawn(image, key))
    job_id = await select_image(database, request_id)
    await store(resources, f"{(await claim_model(database, job_id)).lease.prefix}/model")
    await abandon(database, MODEL_JOBS, job_id)
    await claim_model(database, job_id)
    await delete_once_late(resources)
    assert stored(tmp_path) == [key]


class Refusing(LocalStorage):
    """Never deletes what lies under one prefix: another owner's, say, or locked."""

    refused = ""

    async def delete_prefix(self, prefix: str) -> None:
        if prefix == self.refused:
            raise StorageUnavailable("AccessDenied")
        await super().delete_prefix(prefix)


async def test_what_cannot_be_deleted_does_not_hold_up_the_rest(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.files.random.sample", lambda prefixes, count: prefixes[:count])
    storage = Refusing(tmp_path / "files")
    refusing = replace(resources, storage=storage)
    prefixes = [f"requests/req_{number}/img_1" for number in range(3)]
    storage.refused = prefixes[0]
    for prefix in prefixes:
        await store(refusing, prefix)
        await files.note(resources.database, prefix)
    await delete_once_late(refusing)
    assert await left(refusing) == prefixes
    await delete_left_over(refusing)
    assert await left(refusing) == [prefixes[0]]
    assert stored(tmp_path) == [f"{prefixes[0]}.png"]


async def test_a_prefix_that_was_noted_already_is_no_obstacle(resources: Resources) -> None:
    database = resources.database
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    await files.note(database, claim.lease.prefix)
    await requests.cancel(database, "ann", request_id)
    assert await left(resources) == [claim.lease.prefix]


async def test_a_storage_that_hangs_does_not_hold_up_lost_jobs(resources: Resources, tmp_path: Path) -> None:
    class Hanging(LocalStorage):
        asked = False

        async def delete_prefix(self, prefix: str) -> None:
            self.asked = True
            await asyncio.Event().wait()

    storage = Hanging(tmp_path / "files")
    settings = resources.settings.model_copy(update={"sweep_seconds": 0.05})
    queues = MemoryQueues(dict.fromkeys(JOBS, 1))
    for name in JOBS:
        queues.declare_queue(name)
    hanging = replace(resources, settings=settings, storage=storage, queues=queues, sender=Sender(queues))
    await files.note(resources.database, "requests/req_1/")
    async with resources.database.transaction() as transaction:
        await transaction.execute(update(file_deletions).values(created_at=utc_now() - timedelta(days=1)))
    _, job_ids = await create(resources.database)
    async with sweeping(hanging):
        await until(lambda: storage.asked)
        await claim_image(resources.database, job_ids[0])
        await expire(resources.database, IMAGE_JOBS, job_ids[0])
        sent = (await row(resources.database, IMAGE_JOBS, id=job_ids[0])).sent_at

        async def is_sent_again() -> bool:
            return bool((await row(resources.database, IMAGE_JOBS, id=job_ids[0])).sent_at > sent)

        await until(is_sent_again)


async def test_a_failure_before_anything_was_stored_costs_nothing(resources: Resources) -> None:
    database = resources.database
    _, job_ids = await create(database)
    await images.fail(database, await claim_image(database, job_ids[0]), FAILURE)
    busy = await claim_image(database, job_ids[1])
    await jobs.back_off(database, busy.lease, Failure(FailureCode.PROVIDER_BUSY, "Busy.", True), 1, counts=False)
    assert await left(resources) == []
