"""The database's machine is gone without a word: what it has connected to is silent, and a new one answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from db import queries
from db.session import is_unavailable
from settings import Settings
from tasks.creating import Creating
from tests.faults.wire import Wire
from tests.rows import migrated, new_request, opened
from tests.servers import MariaDB

HELD_SECONDS = 1.0


async def test_nobody_waits_for_it_for_long(mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.session.HELD_SECONDS", HELD_SECONDS)
    url = make_url(mariadb.new_database())
    migrated(url.render_as_string(hide_password=False))
    with Wire(mariadb.port) as wire:
        through = url.set(port=wire.port).render_as_string(hide_password=False)
        async with opened(through) as database:
            create = Creating(Settings(_env_file=None), database)
            await asyncio.gather(*(queries.count_active(database, "ann") for _ in range(5)))
            await create(new_request())
            wire.vanish()
            counts = [asyncio.create_task(queries.count_active(database, "ann")) for _ in range(5)]
            # It is tried once more, on its own, after it was given up with those that it was to be written with.
            async with asyncio.timeout(4 * HELD_SECONDS):
                await create(new_request("ben"))
                given_up = await asyncio.gather(*counts, return_exceptions=True)
            assert all(isinstance(error, Exception) and is_unavailable(error) for error in given_up)
            assert await queries.count_active(database, "ben") == 1
