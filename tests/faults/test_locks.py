"""A process that is stopped, or whose machine is lost, amid a transaction: its locks are not kept for it."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest
from sqlalchemy import select

from db import requests
from db.session import is_unavailable
from db.tables import generation_requests
from events.status import RequestStatus
from tests.rows import create, migrated, opened, request_of, sqlite_url
from tests.servers import MariaDB

CANCELLED = 300
SECONDS = 15
"""Well over what the database waits, and well under what a user does."""


async def test_a_transaction_that_stands_still_is_given_up(mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    migrated(url)
    async with opened(url) as sleeper, opened(url) as database:
        request_id, _ = await create(database)
        locked, awake = asyncio.Event(), asyncio.Event()

        async def sleep() -> None:
            async with sleeper.transaction() as transaction:
                await transaction.execute(
                    select(generation_requests).where(generation_requests.c.id == request_id).with_for_update()
                )
                locked.set()
                await awake.wait()
                await transaction.execute(generation_requests.update().values(prompt="written late"))

        sleeping = asyncio.create_task(sleep())
        await locked.wait()
        async with asyncio.timeout(SECONDS):
            await requests.cancel(database, "ann", request_id)
        awake.set()
        with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever the driver raises, it is asked below
            await sleeping
        assert is_unavailable(caught.value)
        request = await request_of(database, request_id)
        assert (request.status, request.prompt) == (RequestStatus.CANCELLED, "an owl, printable")


async def test_who_is_cancelled_amid_a_transaction_leaves_no_lock(tmp_path: Path) -> None:
    """On SQLite, wherever that is: nobody else writes until the lock is free."""
    url = sqlite_url(tmp_path)
    await asyncio.to_thread(migrated, url)
    pauses = random.Random(7)  # where they are cancelled, not a secret
    # What only the collector would free stays.
    gc.disable()
    try:
        async with opened(url) as database:
            request_id, _ = await create(database)
            for _ in range(CANCELLED):
                cancelling = asyncio.create_task(requests.cancel(database, "bob", request_id))
                await asyncio.sleep(pauses.uniform(0, 0.002))
                cancelling.cancel()
                await asyncio.gather(cancelling, return_exceptions=True)
                async with asyncio.timeout(SECONDS / 3), database.transaction():
                    pass
    finally:
        gc.enable()
