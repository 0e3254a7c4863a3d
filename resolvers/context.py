"""The context of an operation with what the resolvers need beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from resolvers.loaders import make_loaders
from schema import context as schema_context
from schema.context import Caller
from tasks.prompts import Optimizer
from tasks.resources import Resources


@dataclass
class Context(schema_context.Context):
    resources: Resources
    optimizer: Optimizer


def make_context(
    resources: Resources,
    optimizer: Optimizer,
    caller: Caller,
    url_of: Callable[[str], Awaitable[str]],
    events_url_of: Callable[[str], str],
) -> Context:
    return Context(
        caller=caller,
        database=resources.database,
        make_loaders=make_loaders,
        url_of=url_of,
        events_url_of=events_url_of,
        active_request_limit=resources.settings.max_active_requests,
        resources=resources,
        optimizer=optimizer,
    )


Info: TypeAlias = strawberry.Info[Context, None]
