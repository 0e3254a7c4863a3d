"""GraphQL documents: read, checked and kept, so that each is read and checked once."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    SKIP,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    IntValueNode,
    OperationDefinitionNode,
    Source,
    SourceLocation,
    VariableNode,
    Visitor,
    VisitorAction,
    parse,
    validate,
    visit,
)

from resolvers.limits import Limits, PageSize, check_cost, check_shape, page_variables
from schema.errors import ErrorCode, api_error, bad_input

CACHED_DOCUMENTS = 128
CACHED_COSTS = 128
MOST_ERRORS = 10
LONGEST_MESSAGE = 300
LONGEST_NAME = 100
NEW_LINE = re.compile(r"\r\n|[\n\r]")


class Refused(Exception):
    """An operation that is not begun. Each error has its code."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(*(error.message for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A valid document. Compared by identity, which is what its cache keeps."""

    node: DocumentNode
    operations: Mapping[str | None, OperationDefinitionNode]
    page_variables: tuple[str, ...]


class IndexedSource(Source):
    """Finds lines by an index: hostile documents have many of them, and many errors."""

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in NEW_LINE.finditer(self.body))]

    def get_location(self, position: int) -> SourceLocation:
        line = max(bisect_left(self._line_starts, position + 1), 1)
        return SourceLocation(line, position + 1 - self._line_starts[line - 1])


@lru_cache(CACHED_DOCUMENTS)
def read(text: str, schema: GraphQLSchema, limits: Limits) -> Document:
    """Parse and validate a document; raises `Refused`."""
    try:
        node = parse(IndexedSource(text), max_tokens=limits.tokens)
        check_shape(node, limits)
        errors = validate(schema, node, max_errors=MOST_ERRORS)
    except GraphQLSyntaxError as error:
        raise Refused(_syntax_error(error)) from None
    except GraphQLError as error:
        raise Refused(error) from None
    except RecursionError:
        raise Refused(api_error(ErrorCode.QUERY_TOO_COMPLEX, "The document is nested too deeply.")) from None
    if errors:
        raise Refused(*(_with_code(error, ErrorCode.GRAPHQL_VALIDATION_FAILED) for error in errors))
    operations = {
        definition.name.value if definition.name else None: definition
        for definition in node.definitions
        if isinstance(definition, OperationDefinitionNode)
    }
    return Document(node, operations, page_variables(node))


def choose(document: Document, name: str | None) -> OperationDefinitionNode:
    """The operation of that name, or the only one; raises `Refused`."""
    if name is None:
        if len(document.operations) == 1:
            return next(iter(document.operations.values()))
        if not document.operations:
            raise _unknown("The document has no operation.")
        raise _unknown("The document has several operations: say which by `operationName`.")
    if name not in document.operations:
        raise _unknown(f'The document has no operation named "{name[:LONGEST_NAME]}".')
    return document.operations[name]


@lru_cache(CACHED_DOCUMENTS)
def cursor_variable(document: Document, name: str | None) -> str | None:
    """The variable that says where a subscription begins, and nothing else."""
    operation = choose(document, name)
    cursors = {
        given.value.name.value
        for field in operation.selection_set.selections
        if isinstance(field, FieldNode)
        for given in field.arguments or ()
        if given.name.value == "afterSequence" and isinstance(given.value, VariableNode)
    }
    used = _Variables()
    visit(document.node, used)
    return next((cursor for cursor in cursors if used.names[cursor] == 1), None)


class _Variables(Visitor):
    """Counts the uses of each variable."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def enter_variable_definition(self, *_: Any) -> VisitorAction:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names[node.name.value] += 1


def check(
    schema: GraphQLSchema,
    document: Document,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    limits: Limits,
) -> None:
    """See that an operation does not cost too much with these variables; raises `Refused`."""
    sizes = _defaults(operation)
    for name in document.page_variables:
        if name in variables:
            sizes[name] = _page_size(variables[name])
    pages = tuple((name, sizes.get(name)) for name in document.page_variables)
    _check_cost(schema, document, operation.name.value if operation.name else None, pages, limits)


@lru_cache(CACHED_COSTS)
def _check_cost(
    schema: GraphQLSchema,
    document: Document,
    name: str | None,
    pages: tuple[tuple[str, PageSize], ...],
    limits: Limits,
) -> None:
    try:
        check_cost(schema, document.node, document.operations[name], dict(pages), limits)
    except GraphQLError as error:
        raise Refused(error) from None


def _page_size(value: Any) -> PageSize:
    """The number that GraphQL takes a variable for: 100.0 is an `Int` as well. What is none is refused later."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _defaults(operation: OperationDefinitionNode) -> dict[str, PageSize]:
    return {
        definition.variable.name.value: int(definition.default_value.value[:9])
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, IntValueNode)
    }


def _unknown(message: str) -> Refused:
    return Refused(bad_input(message))


def _syntax_error(error: GraphQLSyntaxError) -> GraphQLError:
    if "Parsing aborted" in error.message:
        return _with_code(error, ErrorCode.QUERY_TOO_COMPLEX, error.message.removeprefix("Syntax Error: "))
    return _with_code(error, ErrorCode.GRAPHQL_PARSE_FAILED)


def _with_code(error: GraphQLError, code: ErrorCode, message: str | None = None) -> GraphQLError:
    message = message or error.message
    return GraphQLError(
        # It may repeat what was sent.
        message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…",
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        extensions={"code": code.value},
    )
