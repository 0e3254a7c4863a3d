"""Bringing the tables up to date, and telling whether they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from db.session import Database

SCRIPTS = Path(__file__).parent / "migrations"
HEAD = "0003"
"""The newest migration."""


def _upgrade(connection: Connection) -> None:
    # Alembic takes a third of a second, which only a start that has something to migrate needs.
    from alembic import command  # noqa: PLC0415  # as above
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def migrate(database: Database) -> None:
    """Run the migrations that the database lacks."""
    await run_alone(database, _upgrade)


async def run_alone(database: Database, change: Callable[[Connection], None]) -> None:
    """Change the tables. Of two processes that do it at once, one waits for the other."""
    async with database.engine.connect() as connection:
        locks = connection.dialect.name != "sqlite"
        if locks:
            await connection.exec_driver_sql("SELECT GET_LOCK('maquette-migrate', 120)")
        try:
            await connection.run_sync(change)
            await connection.commit()
        finally:
            if locks:
                await connection.exec_driver_sql("SELECT RELEASE_LOCK('maquette-migrate')")


async def revision(database: Database) -> str | None:
    """The newest migration that was run; None where there are no tables yet."""
    async with database.reading() as connection:
        return await connection.run_sync(_revision)


async def is_current(database: Database) -> bool:
    """Whether the tables are those of this version of the program."""
    return await revision(database) == HEAD
