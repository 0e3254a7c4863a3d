"""The executable schema."""

from __future__ import annotations

from collections.abc import Iterator

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from resolvers.context import Context
from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription
from schema.events import EVENT_TYPES
from schema.scalars import SCALARS


class UseDocument(SchemaExtension):
    """Takes the document that `resolvers.documents` has parsed and validated, where there is one."""

    def on_operation(self) -> Iterator[None]:
        context = self.execution_context.context
        if isinstance(context, Context) and context.document is not None:
            self.execution_context.graphql_document = context.document
            self.execution_context.validation_rules = ()
        yield


class Schema(strawberry.Schema):
    """Strawberry's, without its own log of every client's mistake: `resolvers.errors` logs what is ours."""

    @property
    def graphql(self) -> GraphQLSchema:
        return self._schema

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=EVENT_TYPES,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[UseDocument],
)
