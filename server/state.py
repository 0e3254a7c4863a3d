"""What the routes share while the process serves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from events.feed import Feeds
from resolvers.context import Context, make_context
from resolvers.limits import Limits
from schema.context import Caller
from server.authentication import Authenticator
from server.links import Links
from server.persisted import PersistedQueries
from server.places import Places
from storage import Storage
from tasks.prompts import Optimizer
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class FileUrls:
    """Makes absolute URLs of stored files for clients that reach the server at `base`. Equal where those are."""

    base: str
    storage: Storage = field(compare=False)
    links: Links | None = field(compare=False)
    """Where files are only for those who have a token in their link."""

    async def __call__(self, key: str) -> str:
        url = await self.storage.url(key)
        if not url.startswith("/"):
            return url
        return f"{self.base}{url}?{self.links.file_query(key)}" if self.links else self.base + url


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
        url_of = self.url_of(connection)
        return make_context(self.resources, self.optimizer, caller, url_of, self.links.events_path)

    def url_of(self, connection: HTTPConnection) -> FileUrls:
        """Makes URLs as this client reaches the server."""
        settings = self.resources.settings
        # A WebSocket's own scheme is ws or wss.
        base = settings.public_url or re.sub("^ws", "http", str(connection.base_url).rstrip("/"))
        return FileUrls(base, self.resources.storage, self.links if settings.authenticates else None)
