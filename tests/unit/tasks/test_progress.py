"""How far a model is, on a clock of the test's own: nobody sleeps."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.jobs import Lease, LeaseLost
from db.models import ModelClaim
from db.tables import model_generation_jobs
from events.status import ModelStage
from tasks import progress as module
from tasks.progress import Progress

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


Told = list[tuple[float, int, ModelStage, bool]]


class Journal:
    """Takes the place of the rows."""

    def __init__(self, loop: FastLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: Told = []
        self.errors: list[Exception] = []
        self.loop = loop
        monkeypatch.setattr(module, "utc_now", lambda: BEGINNING + timedelta(seconds=loop.now))
        monkeypatch.setattr(module.models, "report_progress", self.report)

    async def report(self, database: Any, claim: Any, percent: int, stage: ModelStage, estimated: bool) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.told.append((self.loop.now, percent, stage, estimated))


@pytest.fixture
def loop() -> Iterator[FastLoop]:
    with contextlib.closing(FastLoop()) as loop:
        yield loop


@pytest.fixture
def journal(loop: FastLoop, monkeypatch: pytest.MonkeyPatch) -> Journal:
    return Journal(loop, monkeypatch)


def claimed(progress: int = 0, stage: ModelStage = ModelStage.GENERATING) -> ModelClaim:
    lease = Lease(
        model_generation_jobs, "job_1", "req_1", "t", 1, 3, BEGINNING + timedelta(hours=1), "requests/req_1/mdl_1/t/"
    )
    return ModelClaim(lease, "mdl_1", "a.png", 100, progress, stage, BEGINNING, None, False)


def check(told: Told) -> None:
    for (earlier, less, *_), (later, more, *_) in itertools.pairwise(told):
        assert later - earlier >= 1, "at most one a second"
        assert more >= less, "never falling"


def test_the_providers_figures(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 1)
        progress.set(ModelStage.GENERATING, 0.4)
        async with progress.told(None):  # type: ignore[arg-type]
            for step in range(320):
                # It rises by two percent a second, and falls back now and then.
                progress.set(ModelStage.GENERATING, step / 4 - (30 if step % 50 == 49 else 0))
                await asyncio.sleep(1 / 8)

    loop.run_until_complete(run())
    check(journal.told)
    assert 38 <= len(journal.told) <= 41
    assert journal.told[-1][1] in (78, 79)
    assert {(stage, estimated) for _, _, stage, estimated in journal.told} == {(ModelStage.GENERATING, False)}


def test_without_an_interval_each_change_is_told(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 0)
        async with progress.told(None):  # type: ignore[arg-type]
            for step in range(50):
                progress.set(ModelStage.GENERATING, step)
                await asyncio.sleep(1 / 8)

    loop.run_until_complete(run())
    assert [percent for _, percent, *_ in journal.told] == list(range(1, 50)), "that it has begun is known"


def test_a_hundred_is_for_the_model_that_is_there(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 1)
        async with progress.told(None):  # type: ignore[arg-type]
            progress.set(ModelStage.GENERATING, 100)
            await asyncio.sleep(5)

    loop.run_until_complete(run())
    assert journal.told[-1][1] == 99


def test_an_estimate_nears_95_and_stops_there(loop: FastLoop, journal: Journal):
    async def run() -> None:
        async with Progress(claimed(), 1).told(None):  # type: ignore[arg-type]
            await asyncio.sleep(3_600)

    loop.run_until_complete(run())
    check(journal.told)
    figures = [percent for _, percent, _, _ in journal.told]
    assert figures[0] == 1
    assert figures[-1] in (94, 95)
    assert len(figures) == len(set(figures)), "a figure is told once"
    assert all(estimated for *_, estimated in journal.told)


def test_what_is_left_is_little_once_the_mesh_is_there(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 1)
        async with progress.told(None):  # type: ignore[arg-type]
            for stage in (ModelStage.DOWNLOADING, ModelStage.PREPARING, ModelStage.UPLOADING):
                progress.set(stage)
                await asyncio.sleep(2)

    loop.run_until_complete(run())
    check(journal.told)
    assert [percent for _, percent, _, _ in journal.told] == [70, 80, 90]


def test_stages_are_told_though_the_figure_stands(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 1)
        progress.set(ModelStage.GENERATING, 95)
        async with progress.told(None):  # type: ignore[arg-type]
            for stage in (ModelStage.DOWNLOADING, ModelStage.PREPARING, ModelStage.UPLOADING):
                await asyncio.sleep(7)
                progress.set(stage)
            await asyncio.sleep(7)

    loop.run_until_complete(run())
    check(journal.told)
    assert [(percent, stage) for _, percent, stage, _ in journal.told] == [
        (95, stage) for stage in list(ModelStage)[1:]
    ]


@pytest.mark.parametrize(("stage", "told"), [(ModelStage.GENERATING, [61]), (ModelStage.DOWNLOADING, [60, 61])])
def test_after_a_take_over_it_does_not_fall(loop: FastLoop, journal: Journal, stage: ModelStage, told: list[int]):
    async def run() -> None:
        progress = Progress(claimed(60, stage), 1)
        async with progress.told(None):  # type: ignore[arg-type]
            await asyncio.sleep(1.5)
            progress.set(ModelStage.GENERATING, 10)
            await asyncio.sleep(10)
            progress.set(ModelStage.GENERATING, 61)
            await asyncio.sleep(3)

    loop.run_until_complete(run())
    assert [percent for _, percent, _, _ in journal.told] == told
    assert {told_stage for _, _, told_stage, _ in journal.told} == {ModelStage.GENERATING}


def test_a_database_that_is_away_is_told_later(loop: FastLoop, journal: Journal):
    async def run() -> None:
        progress = Progress(claimed(), 1)
        progress.set(ModelStage.GENERATING, 5)
        async with progress.told(None):  # type: ignore[arg-type]
            await asyncio.sleep(5)

    journal.errors = [OSError("away"), OSError("away")]
    loop.run_until_complete(run())
    assert [percent for _, percent, _, _ in journal.told] == [5]


def test_a_lost_lease_ends_the_telling(loop: FastLoop, journal: Journal):
    async def run() -> None:
        async with Progress(claimed(), 1).told(None):  # type: ignore[arg-type]
            await asyncio.sleep(100)

    journal.errors = [LeaseLost("job_1")]
    loop.run_until_complete(run())
    assert journal.told == []
