"""The executable schema."""

from __future__ import annotations

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription
from schema.events import EVENT_TYPES
from schema.scalars import SCALARS


class Schema(strawberry.Schema):
    """Strawberry's, whose operations `resolvers.operations` executes."""

    @property
    def graphql(self) -> GraphQLSchema:
        return self._schema


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=EVENT_TYPES,
    config=StrawberryConfig(scalar_map=SCALARS),
)
