"""What the fields of one operation have at hand. No session: sibling fields resolve at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import strawberry
from strawberry.dataloader import DataLoader

from db.records import ImageWithJob, Job, Model, ModelFile, Request
from db.session import Database
from schema.errors import ErrorCode, api_error

MOST_MODELS = 2_000
"""So many may an operation give by way of their requests. A request has any number of them, and each leads back to it:
the document does not show how many that are.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and until when (Unix time). An operator sees the queues, and nobody else's requests."""

    user_id: str
    is_operator: bool
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Loaders:
    """Rows by ids, gathered from all fields that ask at once. Nothing is kept: a subscription must not see old rows."""

    request: DataLoader[str, Request | None]
    image: DataLoader[str, ImageWithJob | None]
    model: DataLoader[str, Model | None]
    images: DataLoader[str, list[ImageWithJob]]
    models: DataLoader[str, list[Model]]
    files: DataLoader[str, list[ModelFile]]
    model_job: DataLoader[str, Job]


@dataclass
class Context:
    """`url_of` makes the URL of a stored file, `events_url_of` the path of a request's SSE stream."""

    caller: Caller
    database: Database
    make_loaders: Callable[[Database], Loaders]
    url_of: Callable[[str], Awaitable[str]]
    events_url_of: Callable[[str], str]
    active_request_limit: int
    _models: int = field(default=0, init=False)

    @cached_property
    def loaders(self) -> Loaders:
        return self.make_loaders(self.database)

    def count_models(self, count: int) -> None:
        """Count what is given of `models`; raises QUERY_TOO_COMPLEX."""
        self._models += count
        if self._models > MOST_MODELS:
            message = f"The operation gives more than {MOST_MODELS} models of requests. Ask for pages of `models`."
            raise api_error(ErrorCode.QUERY_TOO_COMPLEX, message)


Info: TypeAlias = strawberry.Info[Context, None]
