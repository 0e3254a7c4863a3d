"""The executable schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from resolvers.errors import ErrorCodes
from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription
from schema.events import EVENT_TYPES
from schema.scalars import SCALARS

CACHED_DOCUMENTS = 256
TOKEN_LIMIT = 2_000


class DocumentCache(ParserCache):
    """Strawberry's, whose syntax errors pass by `ErrorCodes`: here they are left to the parsing that follows."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        with contextlib.suppress(GraphQLError):
            context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


class Schema(strawberry.Schema):
    """Strawberry's, without its own log of every client's mistake: `ErrorCodes` logs what is ours."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=EVENT_TYPES,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[
        ErrorCodes,
        lambda: MaxTokensLimiter(max_token_count=TOKEN_LIMIT),
        # The order of the caches is fixed by what they cache: documents, then whether they are valid.
        lambda: DocumentCache(maxsize=CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
    ],
)
