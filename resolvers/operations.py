"""Operations, from what a client sends to what it is answered, for every transport alike."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import (
    ExecutionResult,
    Executor,
    GraphQLError,
    OperationType,
    create_source_event_stream,
    execute_subscription_event,
)

from events.feed import Tell
from events.follow import OfRequest, Topic
from events.types import RequestEvent
from resolvers import documents
from resolvers.api import schema
from resolvers.context import Context
from resolvers.documents import Document, Refused
from resolvers.errors import coded
from resolvers.limits import Limits
from resolvers.subscription import Source
from schema.errors import ErrorCode, api_error
from schema.events import event_of

Result = dict[str, Any]
"""`data`, and `errors` where there are some."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A valid operation with its variables. Whether the variables fit shows when it is begun."""

    document: Document
    name: str | None
    type: OperationType
    variables: dict[str, Any]


def prepare(text: str, name: str | None, variables: Mapping[str, Any] | None, limits: Limits) -> Operation:
    """Read, validate and weigh an operation; raises `Refused`."""
    document = documents.read(text, schema.graphql, limits)
    chosen = documents.choose(document, name)
    # What it does not declare is passed over, and a subscription would keep it.
    declared = {definition.variable.name.value for definition in chosen.variable_definitions or ()}
    given = {variable: value for variable, value in (variables or {}).items() if variable in declared}
    documents.check(schema.graphql, document, chosen, given, limits)
    return Operation(document, chosen.name.value if chosen.name else None, chosen.operation, given)


async def execute(operation: Operation, context: Context, seconds: float) -> Result:
    """The result of a query or mutation, which may take so long; raises `Refused`."""
    # Strawberry's own `execute` makes a context and extensions anew for each operation, and would validate again;
    # graphql-core's prepares for @defer and @stream, which this schema has not.
    result = _executor(operation, context).execute_operation()
    try:
        with context.resources.calls.one():
            async with asyncio.timeout(seconds):
                if isawaitable(result):
                    result = await result
    except TimeoutError:
        message = f"The operation took longer than {seconds:g} seconds and was given up. Try again soon."
        raise Refused(api_error(ErrorCode.UNAVAILABLE, message)) from None
    assert isinstance(result, ExecutionResult), "nothing is deferred"
    return _result(result)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What a subscription follows, and what is told of each event. Of one request, those with an equal
    `key` are told the same.
    """

    topic: Topic
    key: Hashable
    tell: Tell


async def subscribe(operation: Operation, context: Context) -> Subscribed:
    """Begin a subscription; raises `Refused`."""
    source = create_source_event_stream(_executor(operation, context))
    if isawaitable(source):
        source = await source
    if not isinstance(source, Source):
        assert isinstance(source, ExecutionResult), "resolvers of subscriptions give sources"
        raise Refused(*map(coded, source.errors or ()))
    topic = source.topic
    key = _key(operation, context, topic.request_id) if isinstance(topic, OfRequest) else None
    return Subscribed(topic, key, partial(_tell, operation, context))


async def _tell(operation: Operation, context: Context, event: RequestEvent) -> bytes:
    """The result of an operation for one event, as JSON."""
    # With a count of its own of what is given.
    result = execute_subscription_event(_executor(operation, replace(context), event_of(event)))
    if isawaitable(result):
        result = await result
    return msgspec.json.encode(_result(result))


def _executor(operation: Operation, context: Context, event: object = None) -> Executor[Any]:
    # Made anew for each event: those that graphql-core copies from one keep what they collect in it for ever.
    executor = Executor.build(
        schema.graphql,
        operation.document.node,
        event,
        context,
        operation.variables,
        operation.name,
    )
    if isinstance(executor, list):
        raise Refused(*map(coded, executor))
    return executor


def _key(operation: Operation, context: Context, request_id: str) -> Hashable:
    """All that results depend on. Where a client begins makes no difference to what it is told."""
    cursor = documents.cursor_variable(operation.document, operation.name)
    variables = {name: value for name, value in operation.variables.items() if name != cursor}
    return (
        operation.document,
        operation.name,
        msgspec.json.encode(variables, order="deterministic"),
        context.caller.user_id,
        context.caller.is_operator,
        context.url_of,
        request_id,
    )


def answer(errors: Collection[GraphQLError]) -> Result:
    """What a client is answered whose operation was refused: no `data`."""
    return {"errors": [error.formatted for error in errors]}


def _result(result: ExecutionResult) -> Result:
    errors = [coded(error) for error in result.errors or ()]
    # What failed before any field was resolved is the request's fault.
    if result.data is None and any(error.path is None for error in errors):
        raise Refused(*errors)
    return {"data": result.data, **answer(errors)} if errors else {"data": result.data}
