"""A database with tables and without rows, on SQLite and on MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.session import Database
from tests.rows import Told, empty, migrated, opened, sqlite_url
from tests.servers import MariaDB


@pytest.fixture(scope="session")
def mariadb_url(mariadb: MariaDB) -> str:
    url = mariadb.new_database()
    migrated(url)
    return url


@pytest.fixture
def told() -> Told:
    """What the database of the test has broadcast."""
    return Told()


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("mariadb_url"))


@pytest.fixture
async def database(database_url: str, told: Told) -> AsyncIterator[Database]:
    async with opened(database_url, told) as database:
        if database.engine.dialect.name != "sqlite":
            await empty(database)
        yield database


@pytest.fixture
async def on_mariadb(mariadb_url: str, told: Told) -> AsyncIterator[Database]:
    async with opened(mariadb_url, told) as database:
        await empty(database)
        yield database


@pytest.fixture
async def on_sqlite(tmp_path: Path, told: Told) -> AsyncIterator[Database]:
    async with opened(sqlite_url(tmp_path), told) as database:
        yield database
