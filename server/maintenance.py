"""`maquette migrate`."""

from __future__ import annotations

import asyncio

import click

from db import migrate as migrations
from server.database import reach
from server.logs import configure
from tasks.actors import configured, queues
from tasks.resources import open_resources


def migrate() -> None:
    """Bring the tables up to date. Raises `SettingsError`."""
    configure(configured)
    asyncio.run(_migrate())
    click.echo("The tables are up to date.")


async def _migrate() -> None:
    async with open_resources(configured, queues, listen=False) as resources:
        if not await reach(resources.database, configured):
            await migrations.migrate(resources.database)
