"""The migrations, on both kinds of database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, inspect

from db.columns import UtcDateTime
from db.migrate import HEAD, SCRIPTS, is_current, migrate
from db.session import Database
from db.tables import metadata
from tests.rows import claim_image, create, opened
from tests.servers import MariaDB

ROOT = Path(__file__).parents[3]
MIGRATE = """
import asyncio, sys
from db.migrate import migrate
from db.session import Database
async def main():
    database = Database(sys.argv[1], lambda message: None)
    sys.stdin.readline()
    await migrate(database)
    await database.aclose()
asyncio.run(main())
"""

JOBS, BEGUN = "image_generation_jobs", Column("submit_begun_at", UtcDateTime)


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/new/maquette.db"
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    return mariadb.new_database()


def differences(connection: Connection) -> Any:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


def names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_migrating_makes_the_tables_of_the_program(empty_url: str):
    async with opened(empty_url) as database:
        assert not await is_current(database)
        await migrate(database)
        assert await is_current(database)
        await migrate(database)
        assert await is_current(database)
        async with database.reading() as connection:
            assert await connection.run_sync(names) == {*metadata.tables, "alembic_version"}
            assert await connection.run_sync(differences) == []


def test_processes_that_migrate_at_once(empty_url: str):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty_url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
    assert asyncio.run(current(empty_url))


async def current(url: str) -> bool:
    async with opened(url) as database:
        return await is_current(database)


async def go_back(database: Database, revision: str) -> None:
    def downgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with database.engine.connect() as connection:
        await connection.run_sync(downgrade)
        await connection.commit()


async def test_going_back(empty_url: str):
    async with opened(empty_url) as database:
        await migrate(database)
        await go_back(database, "base")
        assert not await is_current(database)
        async with database.reading() as connection:
            assert await connection.run_sync(names) == {"alembic_version"}
        await migrate(database)
        async with database.reading() as connection:
            assert await connection.run_sync(differences) == []


async def test_jobs_of_images_from_before_they_had_submits(empty_url: str):
    """Also where an earlier attempt at the migration was broken off."""
    async with opened(empty_url) as database:
        await migrate(database)
        _, job_ids = await create(database)
        await go_back(database, "0001")
        assert not await is_current(database)
        async with database.engine.connect() as connection:
            await connection.run_sync(lambda on: Operations(MigrationContext.configure(on)).add_column(JOBS, BEGUN))
            await connection.commit()
        await migrate(database)
        assert await is_current(database)
        async with database.reading() as connection:
            assert await connection.run_sync(differences) == []
        claim = await claim_image(database, job_ids[0])
        assert (claim.submit_begun, claim.provider_job_id) == (False, None)


def test_the_newest_migration_is_the_one_that_is_named():
    assert ScriptDirectory(str(SCRIPTS)).get_heads() == [HEAD]


def test_alembics_own_command_works(empty_url: str, tmp_path: Path):
    """In a fresh clone there is no folder for SQLite yet."""
    environment = {**os.environ, "DATABASE_URL": empty_url, "PYTHONPATH": str(ROOT)}
    for arguments in (["upgrade", "head"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert asyncio.run(current(empty_url))
