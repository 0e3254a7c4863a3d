"""Bringing the tables up to date, and telling whether they are."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.session import Database

SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(database: Database) -> None:
    """Run the migrations that the database lacks. Of two processes that do it at once, one waits for the other."""
    async with database.engine.connect() as connection:
        locks = connection.dialect.name != "sqlite"
        if locks:
            await connection.exec_driver_sql("SELECT GET_LOCK('maquette-migrate', 120)")
        try:
            await connection.run_sync(_upgrade)
            await connection.commit()
        finally:
            if locks:
                await connection.exec_driver_sql("SELECT RELEASE_LOCK('maquette-migrate')")


async def is_current(database: Database) -> bool:
    """Whether the tables are those of this version of the program."""
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    async with database.reading() as connection:
        return heads == await connection.run_sync(
            lambda sync: set(MigrationContext.configure(sync).get_current_heads())
        )
