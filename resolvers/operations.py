"""Operations, from what a client sends to what it is answered, for every transport alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, OperationType
from strawberry.types.execution import ExecutionResult, PreExecutionError

from resolvers import documents
from resolvers.api import schema
from resolvers.context import Context
from resolvers.documents import Document, Refused
from resolvers.errors import coded
from resolvers.limits import Limits
from schema.errors import ErrorCode, api_error

Result = dict[str, Any]
"""`data`, and `errors` where there are some."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A valid operation with its variables. Whether the variables fit shows when it is begun."""

    text: str
    document: Document
    name: str | None
    type: OperationType
    variables: dict[str, Any]


def prepare(text: str, name: str | None, variables: Mapping[str, Any] | None, limits: Limits) -> Operation:
    """Read, validate and weigh an operation; raises `Refused`."""
    document = documents.read(text, schema.graphql, limits)
    chosen = documents.choose(document, name)
    given = dict(variables or {})
    documents.check(schema.graphql, document, chosen, given, limits)
    return Operation(text, document, chosen.name.value if chosen.name else None, chosen.operation, given)


async def execute(operation: Operation, context: Context, seconds: float) -> Result:
    """The result of a query or mutation, which may take so long; raises `Refused`."""
    context.document = operation.document.node
    try:
        async with asyncio.timeout(seconds):
            result = await schema.execute(
                operation.text,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
            )
    except TimeoutError:
        message = f"The operation took longer than {seconds:g} seconds and was given up. Try again soon."
        raise Refused(api_error(ErrorCode.UNAVAILABLE, message)) from None
    return _result(result)


async def stream(operation: Operation, context: Context) -> AsyncGenerator[Result, None]:
    """The results of a subscription; raises `Refused` before the first."""
    context.document = operation.document.node
    results = await schema.stream(
        operation.text,
        variable_values=operation.variables,
        context_value=context,
        operation_name=operation.name,
    )
    async with aclosing(results):
        async for result in results:
            if isinstance(result, PreExecutionError):
                raise Refused(*map(coded, result.errors or ()))
            assert isinstance(result, ExecutionResult), "incremental delivery is off"
            yield _result(result)


def answer(errors: Collection[GraphQLError]) -> Result:
    """What a client is answered whose operation was refused: no `data`."""
    return {"errors": [error.formatted for error in errors]}


def _result(result: ExecutionResult) -> Result:
    errors = [coded(error) for error in result.errors or ()]
    # What failed before any field was resolved is the request's fault: its variables do not fit.
    if result.data is None and any(error.path is None for error in errors):
        raise Refused(*errors)
    return {"data": result.data, **answer(errors)} if errors else {"data": result.data}
