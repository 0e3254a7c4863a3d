"""Every top-level error leaves with a code, and no internal one with its text."""

from __future__ import annotations

import secrets

import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.extensions import MaskErrors

from db.session import is_unavailable
from schema.errors import ErrorCode, api_error

log = structlog.get_logger(__name__)


class ErrorCodes(MaskErrors):
    """Gives a code to each error that has none."""

    def __init__(self) -> None:
        super().__init__(should_mask_error=lambda error: "code" not in (error.extensions or {}))

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        cause = error.original_error
        if isinstance(error, GraphQLSyntaxError):
            return _with_code(error, ErrorCode.GRAPHQL_PARSE_FAILED)
        if cause is None and error.path is None:
            return _with_code(error, ErrorCode.GRAPHQL_VALIDATION_FAILED)
        if isinstance(cause, GraphQLError) and (error.path is None or error.message.startswith("Argument '")):
            # Variables are no part of the validation: what is wrong with them is found when they are used.
            return _with_code(error, ErrorCode.BAD_USER_INPUT)
        if cause is not None and is_unavailable(cause):
            log.warning("a field failed: the database is away", path=error.path, error=str(cause))
            return _moved(error, api_error(ErrorCode.UNAVAILABLE, "The database does not answer. Try again soon."))
        message_id = secrets.token_hex(6)
        log.error("a field failed", path=error.path, message_id=message_id, exc_info=cause or error)
        return _moved(
            error,
            api_error(
                ErrorCode.INTERNAL_SERVER_ERROR, f"Something went wrong on our side. The log has it as {message_id}."
            ),
        )


def _with_code(error: GraphQLError, code: ErrorCode) -> GraphQLError:
    return _moved(error, GraphQLError(error.message, extensions={**(error.extensions or {}), "code": code.value}))


def _moved(where: GraphQLError, error: GraphQLError) -> GraphQLError:
    return GraphQLError(
        error.message,
        nodes=where.nodes,
        source=where.source,
        positions=where.positions,
        path=where.path,
        extensions=error.extensions,
    )
