"""How far a model is: told at each change of stage and of whole percent, not too often, and never falling."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from db import models
from db.jobs import LeaseLost
from db.models import ModelClaim
from db.session import Database
from events.clock import utc_now
from events.status import ModelStage

LOOK_SECONDS = 1.0
"""How often an estimate is made anew."""
ESTIMATE_LIMIT = 95
ESTIMATE_SECONDS = 60.0
"""After this long, an estimate is at 63 % of its limit."""
FLOORS = {ModelStage.DOWNLOADING: 70, ModelStage.PREPARING: 80, ModelStage.UPLOADING: 90}
"""In percent: what is left then takes seconds."""

log = structlog.get_logger(__name__)


class Progress:
    """Where a model stands, told every `interval` seconds at most.

    `reported` is the provider's own figure, None where it gives none.
    """

    def __init__(self, claim: ModelClaim, interval: float) -> None:
        self._claim = claim
        self._interval = interval
        self._told = claim.progress, claim.stage
        self._percent = claim.progress
        self._stage = ModelStage.GENERATING
        self._reported: float | None = None
        self._changed = asyncio.Event()

    def set(self, stage: ModelStage, reported: float | None = None) -> None:
        self._reported = reported if reported is not None else self._reported
        self._stage = stage
        self._changed.set()

    def _now(self) -> tuple[int, ModelStage, bool]:
        estimated = self._reported is None
        if self._reported is not None:
            # A hundred is for the model that is there.
            percent = min(99, math.floor(self._reported))
        else:
            elapsed = (utc_now() - self._claim.started_at).total_seconds()
            percent = math.floor(ESTIMATE_LIMIT * (1 - math.exp(-max(0.0, elapsed) / ESTIMATE_SECONDS)))
        self._percent = max(self._percent, percent, FLOORS.get(self._stage, 0))
        return self._percent, self._stage, estimated

    @asynccontextmanager
    async def told(self, database: Database) -> AsyncIterator[None]:
        """Tell of it while the block runs."""
        task = asyncio.create_task(self._tell(database))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell(self, database: Database) -> None:
        while True:
            self._changed.clear()
            percent, stage, estimated = self._now()
            if (percent, stage) == self._told:
                await self._wait_for_change()
                continue
            try:
                await models.report_progress(database, self._claim, percent, stage, estimated)
                self._told = percent, stage
            except LeaseLost:
                return
            except Exception as error:  # the work itself goes on without being told of
                log.warning("progress could not be told", model=self._claim.model_id, error=str(error))
            await asyncio.sleep(self._interval)

    async def _wait_for_change(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._changed.wait()
