"""Sessions: a task that is cancelled ends, wherever its transaction is just then."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from db.session import Database
from db.workers import living, show

TRIES = 300
STEP_SECONDS = 0.000_02


@pytest.mark.parametrize("goes_round", ["a transaction", "a reading"])
async def test_cancelled_it_ends(database: Database, goes_round: str):
    """Who is cancelled amid a statement gives up the connection, so the next one is cancelled while it connects."""

    async def for_ever() -> None:
        for number in itertools.count():
            if goes_round == "a reading":
                await living(database)
            else:
                await show(database, f"wrk_{number}", 1, 1)

    for number in range(TRIES):
        task = asyncio.create_task(for_ever())
        await asyncio.sleep(number * STEP_SECONDS)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()
