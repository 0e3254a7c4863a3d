"""Alembic's entry: runs the migrations on the connection it is given, or on the database of the settings."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection

import settings
from db.migrate import run_alone
from db.session import Database
from db.tables import metadata


def run(connection: Connection) -> None:
    sqlite = connection.dialect.name == "sqlite"
    # SQLite's tables change within a transaction, and so within the lock that the writer has; MySQL's do not.
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=sqlite, transactional_ddl=sqlite)
    with context.begin_transaction():
        context.run_migrations()


async def run_on_settings() -> None:
    database = Database(settings.load().database_url.get_secret_value(), lambda _message: None)
    try:
        await run_alone(database, run)
    finally:
        await database.aclose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_on_settings())
