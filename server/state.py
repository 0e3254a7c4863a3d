"""What the routes share while the process serves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import HTTPConnection

from events.feed import Feeds
from resolvers.context import Context, make_context
from resolvers.limits import Limits
from schema.context import Caller
from server.authentication import Authenticator
from server.links import Links
from server.persisted import PersistedQueries
from server.places import Places
from tasks.prompts import Optimizer
from tasks.resources import Resources


class FileUrls:
    """Makes absolute URLs of stored files as a client reaches the server. Equal where those are."""

    def __init__(self, state: State, connection: HTTPConnection) -> None:
        self._state = state
        self._connection = connection

    async def __call__(self, key: str) -> str:
        resources = self._state.resources
        url = await resources.storage.url(key)
        if not url.startswith("/"):
            return url
        query = f"?{self._state.links.file_query(key)}" if resources.settings.authenticates else ""
        return f"{self._base}{url}{query}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileUrls) and self._base == other._base

    def __hash__(self) -> int:
        return hash(self._base)

    @cached_property
    def _base(self) -> str:
        public_url = self._state.resources.settings.public_url
        # A WebSocket's own scheme is ws or wss.
        return public_url or re.sub("^ws", "http", str(self._connection.base_url).rstrip("/"))


@dataclass(frozen=True, slots=True)
class State:
    """`connections` are WebSockets; `subscriptions` are all that is followed, on whatever transport."""

    resources: Resources
    authenticator: Authenticator
    links: Links
    optimizer: Optimizer
    limits: Limits
    persisted: PersistedQueries
    connections: Places
    subscriptions: Places
    feeds: Feeds

    @classmethod
    def made(cls, resources: Resources, links: Links, optimizer: Optimizer) -> State:
        settings = resources.settings
        # Where nobody logs in, everything is one user's.
        connections, subscriptions = (
            (settings.max_connections_per_user, settings.max_subscriptions_per_user)
            if settings.authenticates
            else (0, 0)
        )
        return cls(
            resources,
            Authenticator(settings),
            links,
            optimizer,
            Limits.of(settings),
            PersistedQueries(settings.persisted_query_bytes),
            Places("connections", connections),
            Places("subscriptions", subscriptions),
            Feeds(),
        )

    @classmethod
    def of(cls, connection: HTTPConnection) -> State:
        state = connection.app.state.maquette
        assert isinstance(state, State)
        return state

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The caller by the `Authorization` header; raises `Unauthenticated` and `KeysUnavailable`."""
        return await self.authenticator.caller(connection.headers.get("authorization"))

    def context(self, connection: HTTPConnection, caller: Caller) -> Context:
        """For one operation."""
        url_of = FileUrls(self, connection)
        return make_context(self.resources, self.optimizer, caller, url_of, self.links.events_path)
