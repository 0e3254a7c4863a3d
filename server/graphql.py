"""`/graphql` over HTTP, as the GraphQL-over-HTTP specification has it, with subscriptions in responses that last.

https://graphql.github.io/graphql-over-http/draft/
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from resolvers import operations
from resolvers.context import Context
from resolvers.documents import Refused
from resolvers.errors import internal
from resolvers.operations import Operation, Result, answer
from schema.context import Caller
from schema.errors import ErrorCode, api_error
from server.authentication import Unauthenticated
from server.bodies import TooLarge, read_body
from server.following import subscribe
from server.framing import FRAMINGS
from server.keys import KeysUnavailable
from server.negotiation import Media, choose
from server.parameters import Malformed, Parameters, decode, from_query, operation_of
from server.places import Full
from server.state import State
from server.streaming import HEADERS, Stream
from server.web import graphiql

ALLOWED = ("GET", "HEAD", "POST")


class Failure(Exception):
    """A request that is answered with a status of HTTP rather than a result."""

    def __init__(self, status: int, code: ErrorCode, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = api_error(code, message)
        self.headers = headers


class Endpoint:
    """`/graphql` over HTTP: GraphiQL for a browser, operations for a client."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = graphiql() if _wants_page(request) else await _answer(request)
        await response(scope, receive, send)


def _wants_page(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    is_read = request.method in ("GET", "HEAD")
    return is_read and "text/html" in accepted and not {"query", "extensions"} & request.query_params.keys()


async def _answer(request: Request) -> ASGIApp:
    media = choose(request.headers.get("accept"), streams=False)
    try:
        return await _perform(request, media)
    except Failure as failure:
        return _json(answer([failure.error]), media, failure.status, failure.headers)
    except ClientDisconnect:
        return Response(status_code=400)
    except Exception as fault:  # whatever it is, the client is answered in the form that it understands
        return _json(answer([internal(fault)]), media, 500)


async def _caller(request: Request) -> Caller:
    try:
        return await State.of(request).caller(request)
    except Unauthenticated as error:
        raise Failure(401, ErrorCode.UNAUTHENTICATED, str(error), {"WWW-Authenticate": "Bearer"}) from None
    except KeysUnavailable as error:
        raise Failure(503, ErrorCode.UNAVAILABLE, str(error), {"Retry-After": "5"}) from None


async def _perform(request: Request, media: Media | None) -> ASGIApp:
    if request.method not in ALLOWED:
        message = f"{request.method} is not allowed."
        raise Failure(405, ErrorCode.BAD_USER_INPUT, message, {"Allow": ", ".join(ALLOWED)})
    if media is None:
        raise Failure(406, ErrorCode.BAD_USER_INPUT, f"Accept one of {', '.join(Media)}.")
    caller = await _caller(request)
    state = State.of(request)
    try:
        parameters = await _parameters(request)
        operation = operation_of(parameters, state.persisted, state.limits)
        context = state.context(request, caller)
        if operation.type is OperationType.SUBSCRIPTION:
            return await _subscribe(request, operation, context)
        if operation.type is OperationType.MUTATION and request.method != "POST":
            raise Failure(405, ErrorCode.BAD_USER_INPUT, "Mutations must be sent by POST.", {"Allow": "POST"})
        result = await operations.execute(operation, context, state.resources.settings.request_timeout_seconds)
    except Malformed as error:
        raise Failure(400, ErrorCode.BAD_USER_INPUT, f"{error}.") from None
    except Refused as refused:
        return _refusal(refused, media)
    return _whole(result, media) if media.is_stream else _json(result, media)


async def _parameters(request: Request) -> Parameters:
    settings = State.of(request).resources.settings
    if request.method != "POST":
        if len(request.scope["query_string"]) > settings.max_body_bytes:
            raise _too_large(settings.max_body_bytes)
        return from_query(request.query_params)
    _check_type(request)
    try:
        async with asyncio.timeout(settings.request_timeout_seconds):
            body = await read_body(request, settings.max_body_bytes)
    except TooLarge:
        raise _too_large(settings.max_body_bytes) from None
    except TimeoutError:
        raise Failure(
            408, ErrorCode.BAD_USER_INPUT, "The body did not come in time.", {"Connection": "close"}
        ) from None
    parameters = decode(body, Parameters)
    assert isinstance(parameters, Parameters)
    return parameters


def _too_large(limit: int) -> Failure:
    return Failure(413, ErrorCode.QUERY_TOO_COMPLEX, f"The request is too large: {limit} bytes are allowed.")


def _check_type(request: Request) -> None:
    """Only JSON: a page of another origin cannot send it without asking first (CORS), as it could send a form."""
    name, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    encoding = request.headers.get("content-encoding", "identity").lower()
    if name.strip() != "application/json" or charset not in ("", "utf-8") or encoding != "identity":
        message = "Send JSON in UTF-8, uncompressed, with `Content-Type: application/json`."
        raise Failure(415, ErrorCode.BAD_USER_INPUT, message, {"Accept-Encoding": "identity"})


async def _subscribe(request: Request, operation: Operation, context: Context) -> ASGIApp:
    media = choose(request.headers.get("accept"), streams=True)
    if media is None:
        message = (
            "A subscription is answered by a stream: accept text/event-stream, or multipart/mixed with "
            "subscriptionSpec=1.0, or use a WebSocket with the subprotocol graphql-transport-ws."
        )
        raise Failure(406, ErrorCode.BAD_USER_INPUT, message)
    state = State.of(request)
    try:
        subscribed, place = await subscribe(state, operation, context)
    except Full as full:
        raise Failure(429, ErrorCode.QUERY_TOO_COMPLEX, str(full), {"Retry-After": "5"}) from None
    except Refused as refused:
        return _whole(answer(refused.errors), media)
    expired = api_error(ErrorCode.UNAUTHENTICATED, "The token has expired. Get a new one.")
    frames = FRAMINGS[media]
    return Stream(state, subscribed, context.caller, place, frames, frames.end(answer([expired])))


def _refusal(refused: Refused, media: Media) -> Response:
    result = answer(refused.errors)
    if media.is_stream:
        return _whole(result, media)
    codes = {(error.extensions or {}).get("code") for error in refused.errors}
    if ErrorCode.UNAVAILABLE in codes:
        return _json(result, media, 503, {"Retry-After": "2"})
    # By the specification, a well-formed request is answered with 200 in application/json, whatever its document.
    return _json(result, media, 400 if media is Media.GRAPHQL_JSON else 200)


def _whole(result: Result, media: Media) -> Response:
    frames = FRAMINGS[media]
    return Response(frames.whole(result), headers={**HEADERS, "Content-Type": frames.media_type})


def _json(result: Result, media: Media | None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    kind = Media.GRAPHQL_JSON if media is Media.GRAPHQL_JSON else Media.JSON
    return Response(
        msgspec.json.encode(result),
        status_code=status,
        media_type=f"{kind}; charset=utf-8",
        headers={"Cache-Control": "no-store", "Vary": "Accept", **(headers or {})},
    )
