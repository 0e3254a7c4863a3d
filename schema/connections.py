"""Pages with cursors, as the Relay specification has them: https://relay.dev/graphql/connections.htm"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import strawberry

from db.queries import Page, Window
from schema.errors import bad_input
from schema.types import GenerationRequest, Model

PAGE_LIMIT = 100
CURSOR = re.compile(r"[a-z]+_[0-9a-z]{26}")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there are more after it.")
    has_previous_page: bool = strawberry.field(description="Whether there are more before it.")
    start_cursor: str | None = strawberry.field(description="The cursor of its first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of its last edge.")


@strawberry.type(description="A place in the list of requests.")
class GenerationRequestEdge:
    cursor: str = strawberry.field(description="To be given as `after` or `before`.")
    node: GenerationRequest = strawberry.field(description="The request.")


@strawberry.type(description="A place in the list of models.")
class ModelEdge:
    cursor: str = strawberry.field(description="To be given as `after` or `before`.")
    node: Model = strawberry.field(description="The model.")


@strawberry.type(description="A page of requests, newest first.")
class GenerationRequestConnection:
    count: strawberry.Private[Callable[[], Awaitable[int]]]
    edges: list[GenerationRequestEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where it stands.")

    @strawberry.field(description="How many there are in all. It is counted when it is asked for.")
    async def total_count(self) -> int:
        return await self.count()


@strawberry.type(description="A page of models, newest first.")
class ModelConnection:
    count: strawberry.Private[Callable[[], Awaitable[int]]]
    edges: list[ModelEdge] = strawberry.field(description="The page.")
    page_info: PageInfo = strawberry.field(description="Where it stands.")

    @strawberry.field(description="How many there are in all. It is counted when it is asked for.")
    async def total_count(self) -> int:
        return await self.count()


def window(first: int | None, after: str | None, last: int | None, before: str | None) -> Window:
    """Which page is asked for; raises an error with code BAD_USER_INPUT."""
    for name, count in (("first", first), ("last", last)):
        if count is not None and not 0 <= count <= PAGE_LIMIT:
            raise bad_input(f"`{name}` must be between 0 and {PAGE_LIMIT}.")
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not CURSOR.fullmatch(cursor):
            raise bad_input(f"`{name}` is no cursor of this list; take it from `pageInfo` or an edge.")
    if last is not None:
        return Window(last, after, before, from_end=True)
    return Window(20 if first is None else first, after, before)


def page_info(page: Page[Any]) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.rows[0].id if page.rows else None,
        end_cursor=page.rows[-1].id if page.rows else None,
    )
