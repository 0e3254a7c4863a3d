"""Secrets that all processes share, made by the first that asks."""

from __future__ import annotations

import secrets as random

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from db.session import Database
from db.tables import secrets


async def shared_secret(database: Database, name: str) -> str:
    query = select(secrets.c.value).where(secrets.c.name == name)
    async with database.reading() as connection:
        value: str | None = await connection.scalar(query)
    if value is not None:
        return value
    try:
        async with database.transaction() as transaction:
            made = random.token_urlsafe(32)
            await transaction.execute(insert(secrets), {"name": name, "value": made})
        return made
    except IntegrityError:
        async with database.reading() as connection:
            return str((await connection.scalars(query)).one())
