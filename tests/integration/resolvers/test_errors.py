"""Every top-level error has its code, and no internal one its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from db.session import Database
from resolvers.documents import read
from resolvers.loaders import make_loaders
from tests.operations import ask, data
from tests.rows import drawn, finished, opened, select_image
from tests.servers import MariaDB


async def code(context: Any, query: str, **variables: Any) -> str:
    codes = {error["extensions"]["code"] for error in (await ask(context, query, **variables))["errors"]}
    assert len(codes) == 1
    return str(codes.pop())


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ viewer { id }", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ " + "viewer { id } " * 2_000 + "}", {}, "QUERY_TOO_COMPLEX"),
        ("nonsense", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ request { id } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ request(id: {}) { id } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ request(id: $id) { id } }", {"id": "x"}, "GRAPHQL_VALIDATION_FAILED"),
        ("query Q { request(id: $id) { id } }", {"id": "x"}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { viewer { id } }", {"id": "x"}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID) { request(id: $id) { id } }", {"id": "x"}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: Viewer) { request(id: $id) { id } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { request(id: $id) { id } }", {}, "BAD_USER_INPUT"),
        ("query ($id: ID!) { request(id: $id) { id } }", {"id": None}, "BAD_USER_INPUT"),
        ("query ($id: ID!) { request(id: $id) { id } }", {"id": ["x"]}, "BAD_USER_INPUT"),
        ("query ($n: Int) { requests(first: $n) { totalCount } }", {"n": "many"}, "BAD_USER_INPUT"),
        (
            'mutation ($o: Boolean) { createRequest(input: {prompt: "x", optimizePrompt: $o}) { request { id } } }',
            {"o": None},
            "BAD_USER_INPUT",
        ),
        ("{ requests(first: 101) { totalCount } }", {}, "BAD_USER_INPUT"),
        ("{ requests(first: -1) { totalCount } }", {}, "BAD_USER_INPUT"),
        ("{ requests(last: 101) { totalCount } }", {}, "BAD_USER_INPUT"),
        ('{ requests(after: "ü") { totalCount } }', {}, "BAD_USER_INPUT"),
        ("{ queues { name } }", {}, "FORBIDDEN"),
    ],
)
async def test_errors_of_the_caller(
    on_sqlite: Database, context_for: Any, query: str, variables: dict[str, Any], expected: str
):
    assert await code(context_for(on_sqlite), query, **variables) == expected


@pytest.mark.parametrize("name", ["req_nothing", "req_ü", "img_ü", "mdl_\ud800", "job_1", "", "_", "x" * 5_000])
async def test_ids_of_nothing_are_null(database: Database, context_for: Any, name: str):
    query = "query ($id: ID!) { node(id: $id) { id } request(id: $id) { id } model(id: $id) { id } }"
    result = await ask(context_for(database), query, id=name)
    assert result == {"data": {"node": None, "request": None, "model": None}}


async def test_to_another_user_nothing_exists(database: Database, context_for: Any):
    request_id = await finished(database)
    query = "query ($id: ID!) { request(id: $id) { id model { id } images { id } } models { totalCount } }"
    mine = (await data(context_for(database), query, id=request_id))["request"]
    ids = [request_id, mine["model"]["id"], mine["images"][0]["id"]]
    for user, operator in (("ben", False), ("Ann", False), ("ben", True)):
        for name in ids:
            found = await data(
                context_for(database, user, is_operator=operator),
                "query ($id: ID!) { node(id: $id) { id } request(id: $id) { id } model(id: $id) { id } "
                "requests { totalCount edges { cursor } } models { totalCount } }",
                id=name,
            )
            assert found == {
                "node": None,
                "request": None,
                "model": None,
                "requests": {"totalCount": 0, "edges": []},
                "models": {"totalCount": 0},
            }


@pytest.mark.parametrize("field", ["prompt", "idempotencyKey"])
@pytest.mark.parametrize("text", ["half \ud83e", "nul\0", ""])
async def test_text_that_is_none_is_invalid(database: Database, context_for: Any, field: str, text: str):
    query = """mutation ($input: CreateRequestInput!) {
      createRequest(input: $input) { request { id } userErrors { code field } }
    }"""
    payload = (await data(context_for(database), query, input={"prompt": "an owl", field: text}))["createRequest"]
    assert payload == {"request": None, "userErrors": [{"code": "INVALID_INPUT", "field": ["input", field]}]}


@pytest.fixture
def away() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


async def test_a_database_that_is_away_is_unavailable(away: MariaDB, context_for: Any):
    url = away.new_database()
    away.kill9()
    async with opened(url) as database:
        context = context_for(database)
        for query in (
            "{ viewer { activeRequests } }",
            "{ requests { totalCount } }",
            '{ request(id: "req_1") { id } }',
            'mutation { createRequest(input: { prompt: "x" }) { request { id } } }',
            'mutation { cancelRequest(input: { requestId: "req_1" }) { request { id } } }',
        ):
            [error] = (await ask(context, query))["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE", query
            assert "127.0.0.1" not in error["message"]


async def test_an_internal_error_shows_an_id_and_the_log_the_rest(
    on_sqlite: Database, context_for: Any, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: object) -> None:
        raise ValueError("the secret cause")

    monkeypatch.setattr("resolvers.query.queries.count_active", broken)
    with capture_logs() as logs:
        [error] = (await ask(context_for(on_sqlite), "{ viewer { activeRequests } }"))["errors"]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert error["path"] == ["viewer"]
    assert "secret" not in str(error)
    found = re.search(r"as ([0-9a-f]{12})\.", error["message"])
    assert found
    [entry] = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["message_id"] == found[1]
    assert "the secret cause" in str(entry["exc_info"])


async def test_what_is_deleted_while_it_is_read_is_no_internal_error(
    on_sqlite: Database, context_for: Any, monkeypatch: pytest.MonkeyPatch
):
    request_id = await drawn(on_sqlite)
    await select_image(on_sqlite, request_id)
    context = context_for(on_sqlite)

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    # As if the request was deleted when its models had been read.
    monkeypatch.setattr("resolvers.loaders.queries.jobs_of_models", nothing)
    context.loaders = make_loaders(on_sqlite)
    query = "query ($id: ID!) { request(id: $id) { models { job { id } } } }"
    assert await code(context, query, id=request_id) == "NOT_FOUND"


async def test_events_after_a_negative_sequence(on_sqlite: Database, context_for: Any):
    query = "query ($id: ID!) { request(id: $id) { events(afterSequence: -1) { id } } }"
    assert await code(context_for(on_sqlite), query, id=await drawn(on_sqlite)) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("subscription { events { id }", {}, "GRAPHQL_PARSE_FAILED"),
        ("subscription { events { nothing } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($id: ID!) { requestEvents(requestId: $id) { id } }", {}, "BAD_USER_INPUT"),
        ('subscription { requestEvents(requestId: "req_ü") { id } }', {}, "NOT_FOUND"),
        ('subscription { requestEvents(requestId: "req_1", afterSequence: -1) { id } }', {}, "BAD_USER_INPUT"),
    ],
)
async def test_errors_of_a_subscriber(
    on_sqlite: Database, context_for: Any, query: str, variables: dict[str, Any], expected: str
):
    assert await code(context_for(on_sqlite), query, **variables) == expected


async def test_a_subscription_meets_a_database_that_is_away(
    on_sqlite: Database, context_for: Any, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_: object) -> None:
        raise ConnectionRefusedError("the secret address")

    monkeypatch.setattr("resolvers.subscription.owner_of_request", away)
    query = 'subscription { requestEvents(requestId: "req_1") { id } }'
    [error] = (await ask(context_for(on_sqlite), query))["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert "secret" not in error["message"]


async def test_a_document_is_read_and_checked_once(on_sqlite: Database, context_for: Any):
    query = "query Cached { viewer { id isOperator } }"
    await data(context_for(on_sqlite), query)
    before = read.cache_info()
    for _ in range(5):
        await data(context_for(on_sqlite), query)
    after = read.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (5, 0)
