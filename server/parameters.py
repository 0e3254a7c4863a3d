"""The parameters of a GraphQL request, from JSON or from a query string, and the operation that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from resolvers.limits import Limits
from resolvers.operations import Operation, prepare
from server.persisted import PersistedQueries


class Malformed(Exception):
    """What was sent is not what it should be. The message says what is wrong with it."""


class Parameters(msgspec.Struct, frozen=True, rename={"operation_name": "operationName"}):
    """What a client sends, whatever the transport."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


def decode(text: bytes | str, kind: Any) -> Any:
    """JSON as the type has it; raises `Malformed`. Stricter than Python's own: no NaN, no endless numbers."""
    try:
        return msgspec.json.decode(text, type=kind)
    except UnicodeError:
        raise Malformed("JSON must be in UTF-8") from None
    except msgspec.ValidationError as error:
        batched = str(error) == "Expected `object`, got `array`"
        raise Malformed("Batches are not taken: send one operation" if batched else str(error)) from None
    except msgspec.MsgspecError as error:
        raise Malformed(f"What was sent is no JSON: {error}") from None
    except RecursionError:
        raise Malformed("JSON is nested too deeply") from None


def from_query(query: Mapping[str, str]) -> Parameters:
    """From the query string of a GET request; raises `Malformed`."""

    def decoded(name: str) -> Any:
        return decode(query[name], dict[str, Any] | None) if query.get(name) else None

    return Parameters(query.get("query"), query.get("operationName"), decoded("variables"), decoded("extensions"))


def operation_of(parameters: Parameters, store: PersistedQueries, limits: Limits) -> Operation:
    """The operation that is asked for; raises `Malformed` where there is none, and `Refused`."""
    digest = store.digest_of(parameters.extensions)
    text = parameters.query if digest is None else store.text_of(digest, parameters.query)
    if text is None:
        raise Malformed("The parameter `query` is missing")
    operation = prepare(text, parameters.operation_name or None, parameters.variables, limits)
    if digest is not None:
        store.keep(digest, text)
    return operation
