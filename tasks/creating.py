"""Creating requests: those that come at once share a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from db import creation
from db.creation import Created, NewRequest
from db.group_commit import GroupCommit
from db.session import Database
from settings import Settings

GATHERING_SECONDS = 0.001
"""Their users wait."""

Together = Callable[[Sequence[NewRequest]], Awaitable[Mapping[int, Created]]]


class Creating:
    """Writes requests."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._chosen: Together = self._plainly
        self._database = database
        self._limits = settings.max_active_requests, settings.max_attempts
        self._write = GroupCommit[NewRequest, Created](self._together, self._alone, gathering=GATHERING_SECONDS)

    async def __call__(self, new: NewRequest) -> Created:
        """Write a request; raises `Refused`."""
        return await self._write(new)

    @contextmanager
    def by(self, together: Together) -> Iterator[None]:
        """While the block runs, have what comes at once written by `together`: the worker's, which begins it too."""
        self._chosen = together
        try:
            yield
        finally:
            self._chosen = self._plainly

    async def _together(self, news: Sequence[NewRequest]) -> Mapping[int, Created]:
        return await self._chosen(news)

    async def _alone(self, new: NewRequest) -> Created:
        return await creation.create(self._database, new, *self._limits)

    async def _plainly(self, news: Sequence[NewRequest]) -> Mapping[int, Created]:
        created, _ = await creation.create_together(self._database, news, *self._limits)
        return created
