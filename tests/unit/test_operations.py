"""What an operation's client is told of faults, with a database that hangs or raises."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from events.calls import Calls
from resolvers.context import make_context
from resolvers.documents import Refused
from resolvers.limits import Limits
from resolvers.operations import execute, prepare, subscribe
from schema.context import Caller

LIMITS = Limits(depth=16, aliases=30, directives=30, tokens=1_000, cost=40_000)
AWAY = OperationalError("SELECT secret FROM secrets", {}, Exception("(2003) no route to 10.0.0.7"))


def context(fault):
    @asynccontextmanager
    async def reading():
        if fault is None:
            await asyncio.Event().wait()
        raise fault
        yield

    database = SimpleNamespace(reading=reading)
    settings = SimpleNamespace(max_active_requests=1)
    resources = SimpleNamespace(database=database, settings=settings, hub=None, calls=Calls())
    return make_context(resources, None, Caller("ada", is_operator=True), None, None)


def operation(text):
    return prepare(text, None, None, LIMITS)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (AWAY, "UNAVAILABLE"),
        (OSError("10.0.0.7 refuses"), "UNAVAILABLE"),
        (RuntimeError("secret"), "INTERNAL_SERVER_ERROR"),
        (AssertionError("secret"), "INTERNAL_SERVER_ERROR"),
        (KeyError("secret"), "INTERNAL_SERVER_ERROR"),
        (RecursionError("secret"), "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_faults_are_told_without_their_text(fault, code):
    with capture_logs() as logs:
        result = await execute(operation("{ viewer { activeRequests } }"), context(fault), 10)
    [error], [logged] = result["errors"], logs
    if code == "INTERNAL_SERVER_ERROR":
        assert logged["exc_info"] is fault
        assert logged["message_id"] in error["message"]
    assert (result["data"], error["extensions"], error["path"]) == (None, {"code": code}, ["viewer"])
    told = json.dumps(result)
    assert not any(word in told for word in ("secret", "SELECT", "10.0.0.7", "Traceback"))
    with pytest.raises(Refused) as refused, capture_logs():
        await subscribe(operation('subscription { requestEvents(requestId: "r") { id } }'), context(fault))
    assert [error.extensions["code"] for error in refused.value.errors] == [code]
    assert "secret" not in str(refused.value)


def test_variables_that_are_not_declared_are_not_kept():
    prepared = prepare("query ($id: ID!) { request(id: $id) { id } }", None, {"id": "r", "x": [{}] * 9}, LIMITS)
    assert prepared.variables == {"id": "r"}


async def test_an_operation_that_takes_too_long_is_given_up():
    with pytest.raises(Refused, match=r"took longer than 0\.05 seconds") as refused:
        await execute(operation("{ viewer { activeRequests } }"), context(None), 0.05)
    assert refused.value.errors[0].extensions == {"code": "UNAVAILABLE"}
