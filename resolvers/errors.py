"""Every top-level error leaves with a code, and no internal one with its text."""

from __future__ import annotations

import secrets

import structlog
from graphql import GraphQLError

from db.session import is_unavailable
from schema.errors import ErrorCode, api_error

log = structlog.get_logger(__name__)


def coded(error: GraphQLError) -> GraphQLError:
    """An error of an execution as the client may see it: with a code, and nothing internal."""
    if "code" in (error.extensions or {}):
        return error
    cause = error.original_error
    if error.path is None and (cause is None or isinstance(cause, GraphQLError)):
        return _moved(error, api_error(ErrorCode.BAD_USER_INPUT, error.message))
    if isinstance(cause, GraphQLError) and error.message.startswith("Argument '"):
        # A variable may be null where an argument with a default must not be: that shows at its field.
        return _moved(error, api_error(ErrorCode.BAD_USER_INPUT, error.message))
    return _moved(error, internal(cause or error, path=error.path))


def internal(cause: BaseException, **where: object) -> GraphQLError:
    """What is told of a fault of ours. The log has the rest."""
    if is_unavailable(cause):
        log.warning("an operation failed: the database is away", **where, error=str(cause))
        return api_error(ErrorCode.UNAVAILABLE, "The database does not answer. Try again soon.")
    message_id = secrets.token_hex(6)
    log.error("an operation failed", **where, message_id=message_id, exc_info=cause)
    return api_error(
        ErrorCode.INTERNAL_SERVER_ERROR, f"Something went wrong on our side. The log has it as {message_id}."
    )


def _moved(where: GraphQLError, error: GraphQLError) -> GraphQLError:
    return GraphQLError(
        error.message,
        nodes=where.nodes,
        source=where.source,
        positions=where.positions,
        path=where.path,
        extensions=error.extensions,
    )
