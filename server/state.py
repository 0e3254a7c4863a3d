"""What the routes share while the process serves."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from resolvers.context import Context, make_context
from resolvers.limits import Limits
from schema.context import Caller
from server.authentication import Authenticator
from server.links import Links
from server.persisted import PersistedQueries
from server.places import Places
from tasks.prompts import Optimizer
from tasks.resources import Resources


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
        )

    @classmethod
    def of(cls, connection: HTTPConnection) -> State:
        state = connection.app.state.maquette
        assert isinstance(state, State)
        return state

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The caller by the `Authorization` header; raises `Unauthenticated` and `KeysUnavailable`."""
        return await self.authenticator.caller(connection.headers.get("authorization"))

    def context(self, connection: HTTPConnection, caller: Caller, cut_off: Callable[[], None]) -> Context:
        """For one operation."""
        url_of = self.url_of(connection)
        return make_context(self.resources, self.optimizer, caller, url_of, self.links.events_path, cut_off)

    def url_of(self, connection: HTTPConnection) -> Callable[[str], Awaitable[str]]:
        """Makes absolute URLs of stored files, as this client reaches the server."""
        settings = self.resources.settings
        # A WebSocket's own scheme is ws or wss.
        base = settings.public_url or re.sub("^ws", "http", str(connection.base_url).rstrip("/"))

        async def url_of(key: str) -> str:
            url = await self.resources.storage.url(key)
            if not url.startswith("/"):
                return url
            return f"{base}{url}?{self.links.file_query(key)}" if settings.authenticates else base + url

        return url_of
