"""The clock set back while there is work, and clocks that differ."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from db import images, jobs, lost
from db.images import Drawn, ImageClaim
from db.log import RowHeads, read_events
from db.session import Database
from events.bus import Bus
from events.clock import utc_now
from events.follow import follow_user
from events.hub import Hub
from events.outcome import Failure, FailureCode
from events.status import RequestPhase
from events.types import TaskUpdated
from tests.rows import IMAGE_JOBS, LEASE_SECONDS, TERMS, claim_image, create, draw, opened, sqlite_url
from tests.waiting import until
from tests.working import bench

HOUR = timedelta(hours=1)
FAILURE = Failure(FailureCode.PROVIDER_UNAVAILABLE, "Away.", retryable=True)


@dataclass
class Clock:
    """The machine's clock, off by so much."""

    off: timedelta = timedelta()

    def now(self, zone: object) -> datetime:
        return datetime.now(UTC) + self.off


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("events.clock.datetime", SimpleNamespace(now=clock.now))
    return clock


async def claim(database: Database, job_id: str) -> ImageClaim | None:
    return await images.claim(database, job_id, TERMS)


async def test_jobs_wait_for_no_clock(clock: Clock, tmp_path: Path) -> None:
    async with opened(sqlite_url(tmp_path)) as database:
        _, (fresh, dead, failed, held) = await create(database)
        await claim_image(database, dead)
        await jobs.back_off(database, (await claim_image(database, failed)).lease, FAILURE, 60, counts=True)
        clock.off = -HOUR
        assert set(await lost.recover(database, IMAGE_JOBS, 0, 5, utc_now())) == {fresh, dead, failed, held}
        for job_id in (fresh, dead, failed):
            assert await claim(database, job_id) is not None
        # Whose worker lives keeps its job on the new time.
        mine = await claim_image(database, held)
        await jobs.renew(database, mine.lease, LEASE_SECONDS)
        assert await claim(database, held) is None
        await images.complete(database, Drawn(mine, f"{mine.lease.prefix}.png"))


async def test_a_job_is_claimed_though_its_writers_clock_is_ahead(clock: Clock, tmp_path: Path) -> None:
    async with opened(sqlite_url(tmp_path)) as database:
        clock.off = timedelta(seconds=20)
        _, (fresh, failed, *_) = await create(database)
        await jobs.back_off(database, (await claim_image(database, failed)).lease, FAILURE, 60, counts=True)
        clock.off = timedelta()
        assert await claim(database, fresh) is not None
        assert await claim(database, failed) is None, "what is to be tried later waits"


async def test_a_stream_of_all_requests_goes_on(clock: Clock, tmp_path: Path) -> None:
    """Over the broadcasts, and from the rows where a broadcast is lost."""
    hub = Hub()
    bus = Bus(hub, None)
    database = Database(sqlite_url(tmp_path), bus.publish)
    told: list[tuple[str, int]] = []

    async def follow() -> None:
        stream = follow_user(hub, "ann", utc_now(), partial(read_events, database))
        async with aclosing(stream) as events:
            async for event in events:
                told.append((event.request_id, event.sequence))  # noqa: PERF401  # each at once

    try:
        async with bus.running(RowHeads(database)):
            following = asyncio.create_task(follow())
            await until(lambda: hub.user_ids)
            before, (first, second, third, _) = await create(database)
            await draw(database, first)
            await until(lambda: told == [(before, 1), (before, 2)])
            clock.off = -HOUR
            await draw(database, second)
            after, job_ids = await create(database)
            await draw(database, job_ids[0])
            await until(lambda: told[2:] == [(before, 3), (before, 4), (after, 1), (after, 2)])
            database._publish = lambda _: None
            await draw(database, third)
            bus._look.set()
            await until(lambda: told[6:] == [(before, 5), (before, 6)])
            hub.close()
            await following
    finally:
        await database.aclose()


async def test_a_worker_works_on(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.scripted.JOURNAL", tmp_path / "journal")
    scripted = "tests.scripted:Images"
    with bench(tmp_path, image_provider=scripted, lease_seconds=1, sweep_seconds=0.2) as worker:
        under_way, _ = await worker.draw("a fox, drawn meanwhile, delay=2")
        clock.off = -HOUR
        later, _ = await worker.draw("a fox, drawn later")
        for request_id in (under_way, later):
            told = await worker.ended(request_id, (TaskUpdated,))
            assert told[-1].phase is RequestPhase.AWAITING_SELECTION
