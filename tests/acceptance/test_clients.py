"""Real clients, as front-end developers use them: Apollo Client, urql, graphql-ws, graphql-sse, and gql for Python."""

from __future__ import annotations

from typing import Any

import pytest
from gql import Client as GqlClient
from gql import gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.acceptance import javascript
from tests.acceptance.conftest import Connect
from tests.acceptance.program import Program, in_phase

SEQUENCE = list(range(1, 10))
FOLLOW = "subscription($id: ID!) { requestEvents(requestId: $id) { sequence ... on TaskUpdated { phase } } }"


@pytest.fixture(scope="module")
def node() -> None:
    javascript.prepare()


@pytest.fixture
async def request_id(face: Program, connect: Connect) -> str:
    return await connect(face).created("for clients")


def sequences(results: list[Any]) -> list[int]:
    return [result["data"]["requestEvents"]["sequence"] for result in results]


def codes(results: list[Any]) -> list[str]:
    return [error["extensions"]["code"] for result in results for error in result["errors"]]


@pytest.mark.usefixtures("node")
async def test_all_audits_of_graphql_http_pass(face: Program) -> None:
    audits = await javascript.run("audits.mjs", f"{face.url}/graphql")
    assert len(audits) > 50
    assert [audit for audit in audits if audit["status"] != "ok"] == []


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("transport", ["multipart", "websocket"])
async def test_apollo_follows_by_its_cache_alone(face: Program, transport: str) -> None:
    told = await javascript.run("apollo.mjs", face.url, transport)
    assert told["events"] == ["image:generating"] * 4 + ["image:completed"] * 4 + ["task:updated"]
    first, last = told["drawn"][0], told["drawn"][-1]
    assert (first["phase"], last["phase"]) == ("IMAGE_GENERATION", "AWAITING_SELECTION")
    assert {image["imageStatus"] for image in last["images"]} == {"COMPLETED"}
    assert all(image["imageUrl"].startswith(face.url) for image in last["images"])
    # The page was asked for once, and drawn as each image came.
    drawn = [sum(image["imageStatus"] == "COMPLETED" for image in page["images"]) for page in told["drawn"]]
    assert (drawn, drawn[-1]) == (sorted(drawn), 4)
    assert len(set(drawn)) > 2
    assert told["failed"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert told["requests"].count('multipart/mixed; boundary="graphql"; subscriptionSpec=1.0') == (
        transport == "multipart"
    )


@pytest.mark.usefixtures("node")
async def test_apollo_sends_the_hash_first_and_the_query_once(face: Program) -> None:
    for _ in range(2):
        told = await javascript.run("apollo.mjs", face.url, "websocket")
    assert told["sentQueries"] == [False]


@pytest.mark.usefixtures("node")
async def test_urql(face: Program) -> None:
    told = await javascript.run("urql.mjs", face.url)
    assert told["query"] == told["byGet"] == {"data": {"viewer": {"id": "local"}}}
    assert told["invalid"]["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert [event["sequence"] for event in told["events"]] == SEQUENCE


@pytest.mark.usefixtures("node")
async def test_graphql_sse(face: Program, request_id: str) -> None:
    told = await javascript.run("sse.mjs", face.url, request_id)
    assert sequences(told["events"]) == SEQUENCE
    assert told["query"] == [{"data": {"viewer": {"id": "local"}}}]
    assert codes(told["invalid"]) == ["GRAPHQL_VALIDATION_FAILED"]
    assert codes(told["notFound"]) == ["NOT_FOUND"]


@pytest.mark.usefixtures("node")
async def test_graphql_ws(face: Program, request_id: str) -> None:
    told = await javascript.run("ws.mjs", face.url, request_id)
    assert sequences(told["events"]) == SEQUENCE
    assert told["query"] == [{"data": {"viewer": {"id": "local"}}}]
    assert codes(told["syntax"]) == ["GRAPHQL_PARSE_FAILED"]
    assert codes(told["invalid"]) == ["GRAPHQL_VALIDATION_FAILED"]
    assert codes(told["unknown"]) == ["BAD_USER_INPUT"]
    assert told["closes"] == 0


async def test_gql_over_http(face: Program) -> None:
    transport = HTTPXAsyncTransport(url=f"{face.url}/graphql")
    async with GqlClient(transport=transport, fetch_schema_from_transport=True) as session:
        assert await session.execute(gql("{ viewer { id } }")) == {"viewer": {"id": "local"}}
        with pytest.raises(TransportQueryError) as failed:
            await session.execute(gql("{ requests(first: -1) { totalCount } }"))
        assert failed.value.errors is not None
        assert failed.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_gql_over_websocket(face: Program, connect: Connect) -> None:
    request_id = await connect(face).created("for gql")
    transport = WebsocketsTransport(url=f"{face.url.replace('http', 'ws')}/graphql", ping_interval=0.05)
    told = []
    async with GqlClient(transport=transport) as session:
        query = gql(FOLLOW)
        query.variable_values = {"id": request_id}
        async for result in session.subscribe(query):
            told.append(result["requestEvents"]["sequence"])
            if result["requestEvents"].get("phase") == "AWAITING_SELECTION":
                break
        assert await session.execute(gql("{ viewer { id } }")) == {"viewer": {"id": "local"}}
    assert told == SEQUENCE
    assert (await connect(face).follow(request_id, in_phase("AWAITING_SELECTION")))[-1]["sequence"] == 9
