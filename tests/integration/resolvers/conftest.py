"""Operations on a database, without a server between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from db.session import Database
from events.bus import Bus
from events.hub import Hub
from providers.protocol import OptimizedPrompt
from resolvers.context import Context, make_context
from schema.context import Caller
from settings import Settings
from storage.local import LocalStorage
from tasks.broker import MemoryQueues
from tasks.prompts import Optimizer
from tasks.resources import Resources
from tasks.sender import Sender


class Prompts:
    async def optimize(self, prompt: str) -> OptimizedPrompt:
        return OptimizedPrompt(prompt, (prompt, prompt, prompt, prompt))

    async def aclose(self) -> None:
        pass


MakeContext = Callable[..., Context]


@pytest.fixture
def context_for(tmp_path: Path) -> MakeContext:
    """Makes the context of an operation on a database, for a user."""

    def made(database: Database, user_id: str = "ann", *, is_operator: bool = False) -> Context:
        hub, queues = Hub(), MemoryQueues({})
        storage = LocalStorage(tmp_path / "files")
        resources = Resources(Settings(_env_file=None), database, hub, Bus(hub, None), storage, queues, Sender(queues))
        return make_context(
            resources,
            Optimizer(Prompts(), 5),
            Caller(user_id, is_operator=is_operator),
            storage.url,
            lambda request_id: f"/requests/{request_id}/events",
        )

    return made
