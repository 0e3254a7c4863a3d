"""What the routes share while the process serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from schema.context import Caller
from server.authentication import Authenticator
from server.links import Links
from tasks.prompts import Optimizer
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class State:
    resources: Resources
    authenticator: Authenticator
    links: Links
    optimizer: Optimizer

    @classmethod
    def of(cls, connection: HTTPConnection) -> State:
        state = connection.app.state.maquette
        assert isinstance(state, State)
        return state

    async def caller(self, connection: HTTPConnection) -> Caller:
        """The caller by the `Authorization` header; raises `Unauthenticated` and `KeysUnavailable`."""
        return await self.authenticator.caller(connection.headers.get("authorization"))

    def url_of(self, connection: HTTPConnection) -> Callable[[str], Awaitable[str]]:
        """Makes absolute URLs of stored files, as this client reaches the server."""
        settings = self.resources.settings
        base = settings.public_url or str(connection.base_url).rstrip("/").replace("ws", "http", 1)

        async def url_of(key: str) -> str:
            url = await self.resources.storage.url(key)
            if not url.startswith("/"):
                return url
            return f"{base}{url}?{self.links.file_query(key)}" if settings.authenticates else base + url

        return url_of
