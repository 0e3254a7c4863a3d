"""Standstills that make living workers look silent: each picture is drawn once all the same."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from db import jobs, lost
from db.presence import Others, present
from events.types import TaskUpdated
from tests import scripted
from tests.rows import opened
from tests.waiting import until
from tests.working import Far, bench

HOUR = timedelta(hours=1)
LEASE_SECONDS = 3


async def being_drawn(worker: Far, seconds: float) -> str:
    """The id of a request whose picture is under way, for so long."""
    request_id, _ = await worker.draw(f"a fox, delay={seconds}")
    await until(lambda: asked() == 1)
    return request_id


def asked() -> int:
    """How often a picture was asked for."""
    return sum(call["call"] == "image" for call in scripted.entries(scripted.JOURNAL))


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    monkeypatch.setattr("tests.scripted.JOURNAL", tmp_path / "journal")
    quick = {"lease_seconds": LEASE_SECONDS, "sweep_seconds": 0.1}
    with bench(tmp_path, sweeps=True, image_provider="tests.scripted:Images", **quick) as worker:
        yield worker


@pytest.mark.parametrize("leap", [HOUR, -HOUR])
async def test_the_clock_leaps(worker: Far, monkeypatch: pytest.MonkeyPatch, leap: timedelta) -> None:
    """As it does where a machine was suspended, too."""
    request_id = await being_drawn(worker, LEASE_SECONDS)
    monkeypatch.setattr("events.clock.datetime", SimpleNamespace(now=lambda zone: datetime.now(zone) + leap))
    await worker.ended(request_id, (TaskUpdated,))
    assert asked() == 1


async def test_the_database_reads_but_does_not_write(worker: Far, tmp_path: Path) -> None:
    """As while a backup is made. One that refuses to write is seen in the same way."""
    request_id = await being_drawn(worker, 2 * LEASE_SECONDS)
    with closing(sqlite3.connect(tmp_path / "maquette.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await asyncio.sleep(1.3 * LEASE_SECONDS)
        other.execute("ROLLBACK")
    await worker.ended(request_id, (TaskUpdated,))
    assert asked() == 1


async def test_another_process_comes(worker: Far, tmp_path: Path) -> None:
    request_id = await being_drawn(worker, LEASE_SECONDS)
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/maquette.db") as database, present(database) as others:
        assert others is Others.SOME
        await worker.ended(request_id, (TaskUpdated,))
    assert asked() == 1


async def test_the_database_stands_still(worker: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await being_drawn(worker, 2 * LEASE_SECONDS)

    def stand_still(module: ModuleType, name: str, seconds: float) -> None:
        call, end = getattr(module, name), time.monotonic() + seconds

        async def stands(*arguments: Any, **named: Any) -> Any:
            if time.monotonic() < end:
                raise ConnectionRefusedError
            return await call(*arguments, **named)

        monkeypatch.setattr(module, name, stands)

    stand_still(lost, "recover", 1.3 * LEASE_SECONDS)
    # The sweeper finds the database first.
    stand_still(jobs, "renew", 1.5 * LEASE_SECONDS)
    await worker.ended(request_id, (TaskUpdated,))
    assert asked() == 1
