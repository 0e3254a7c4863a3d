"""What a process holds open while it runs: database, bus, storage, queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from db.log import RowHeads
from db.session import Database
from events.bus import Bus
from events.calls import Calls
from events.hub import Hub
from settings import Settings
from storage import Storage, open_storage
from tasks.broker import Queues
from tasks.creating import Creating
from tasks.sender import Sender


@dataclass(frozen=True)
class Resources:
    settings: Settings
    database: Database
    hub: Hub
    bus: Bus
    storage: Storage
    queues: Queues
    sender: Sender
    calls: Calls = field(default_factory=Calls)

    @cached_property
    def create_request(self) -> Creating:
        return Creating(self.settings, self.database)


@asynccontextmanager
async def open_resources(settings: Settings, queues: Queues, *, listen: bool) -> AsyncIterator[Resources]:
    """Open what the settings name. With `listen`, events of all processes reach the hub of this one."""
    hub = Hub()
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    bus = Bus(hub, redis_url)
    database = Database(settings.database_url.get_secret_value(), bus.publish)
    storage = open_storage(settings)
    sender = Sender(queues)
    try:
        async with bus.running(RowHeads(database), listen=listen), sender.running():
            yield Resources(settings, database, hub, bus, storage, queues, sender)
    finally:
        await asyncio.shield(_close(database, storage))


async def _close(database: Database, storage: Storage) -> None:
    await database.aclose()
    await storage.aclose()
