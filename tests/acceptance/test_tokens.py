"""Streams that end with their token, and what each user may have open at once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed

from tests.acceptance.conftest import Connect
from tests.acceptance.program import Client, Program, in_phase, running

SECRET = "a secret of thirty-two bytes and more"
FOLLOW = "subscription($id: ID!) { requestEvents(requestId: $id) { sequence } }"
SKEW = 10
"""For so many seconds a token is good after it has expired: clocks differ."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    environment = {
        "JWT_SECRET": SECRET,
        "MAX_ACTIVE_REQUESTS": "0",
        "MAX_CONNECTIONS_PER_USER": "2",
        "MAX_SUBSCRIPTIONS_PER_USER": "3",
    }
    with running(tmp_path_factory.mktemp("tokens"), environment, served=False) as program:
        yield program


def token(user: str, seconds: float = 600) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + seconds - SKEW}, SECRET, "HS256")


@asynccontextmanager
async def opened(program: Program, payload: Any, **options: Any) -> AsyncIterator[ClientConnection]:
    url = program.url.replace("http", "ws") + "/graphql"
    async with connect_socket(url, subprotocols=["graphql-transport-ws"], proxy=None, **options) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        yield socket


async def told(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


async def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        await told(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def waiting(guarded: Program, connect: Connect, user: str) -> str:
    """A request of the user's that stays as it is."""
    client = connect(guarded, token(user))
    request_id = await client.created("waits")
    await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    return request_id


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ({"authorization": "Bearer {}"}, {}),
        ({"Authorization": "Bearer {}"}, {}),
        ({"Authorization": "{}"}, {}),
        ({}, {"Authorization": "Bearer {}"}),
        (None, {"Authorization": "Bearer {}"}),
    ],
)
async def test_a_token_comes_with_the_initialisation_or_the_handshake(
    guarded: Program, payload: dict[str, str] | None, headers: dict[str, str]
) -> None:
    good = token("ada")
    filled = payload and {name: value.format(good) for name, value in payload.items()}
    heads = {name: value.format(good) for name, value in headers.items()}
    async with opened(guarded, filled, additional_headers=heads) as socket:
        assert await told(socket) == {"type": "connection_ack"}
        query = {"type": "subscribe", "id": "1", "payload": {"query": "{ viewer { id } }"}}
        await socket.send(json.dumps(query))
        assert (await told(socket))["payload"] == {"data": {"viewer": {"id": "ada"}}}


@pytest.mark.parametrize("payload", [None, {}, {"authorization": 7}, {"authorization": "Bearer nonsense"}])
async def test_without_a_good_token_the_connection_is_forbidden(guarded: Program, payload: Any) -> None:
    async with opened(guarded, payload) as socket:
        assert await close_code(socket) == 4403


async def test_a_websocket_ends_with_its_token(guarded: Program, connect: Connect) -> None:
    request_id = await waiting(guarded, connect, "eve")
    begun = time.time()
    async with opened(guarded, {"authorization": f"Bearer {token('eve', 2)}"}) as socket:
        assert await told(socket) == {"type": "connection_ack"}
        payload = {"query": FOLLOW, "variables": {"id": request_id}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        for _ in range(9):
            assert (await told(socket))["type"] == "next"
        assert await close_code(socket) == 4403
        assert socket.close_reason is not None
        assert "expired" in socket.close_reason
    assert 0.5 < time.time() - begun < 6


async def ended(client: Client, accept: str, request_id: str) -> str:
    body = {"query": FOLLOW, "variables": {"id": request_id}}
    response = await client.http.post("/graphql", json=body, headers={"Accept": accept})
    assert response.status_code == 200
    return response.text


async def test_streams_end_with_their_tokens(guarded: Program, connect: Connect) -> None:
    request_id = await waiting(guarded, connect, "fay")
    client = connect(guarded, token("fay", 2))
    begun = time.time()
    by_sse, by_parts, plain = await asyncio.gather(
        ended(client, "text/event-stream", request_id),
        ended(client, "multipart/mixed;subscriptionSpec=1.0", request_id),
        client.http.get("/events"),
    )
    assert 0.5 < time.time() - begun < 8
    assert "UNAUTHENTICATED" in by_sse
    assert by_sse.endswith("event: complete\ndata:\n\n")
    assert '"payload":null,"errors":[' in by_parts
    assert "UNAUTHENTICATED" in by_parts
    assert plain.text == "retry: 2000\n\n"
    assert (await client.http.get("/events")).status_code == 401


async def test_the_stream_of_a_link_ends_with_the_link(guarded: Program, connect: Connect) -> None:
    request_id = await waiting(guarded, connect, "gus")
    with sqlite3.connect(guarded.folder / "maquette.db") as database:
        [[secret]] = database.execute("SELECT value FROM secrets WHERE name = 'links'").fetchall()
    link = jwt.encode({"sub": f"events:{request_id}", "exp": time.time() + 2}, secret, "HS256")
    begun = time.time()
    stream = await connect(guarded).http.get(f"/requests/{request_id}/events", params={"token": link})
    assert stream.text.count("\nevent: ") == 9
    assert 0.5 < time.time() - begun < 6


async def test_connections_and_subscriptions_are_counted_by_user(guarded: Program, connect: Connect) -> None:
    request_id = await waiting(guarded, connect, "hal")
    payload = {"authorization": f"Bearer {token('hal')}"}
    subscribe = {"type": "subscribe", "payload": {"query": FOLLOW, "variables": {"id": request_id}}}
    async with AsyncExitStack() as stack:
        one, two, three = [await stack.enter_async_context(opened(guarded, payload)) for _ in range(3)]
        assert await told(one) == await told(two) == {"type": "connection_ack"}
        assert await close_code(three) == 1013
        for number, socket in enumerate((one, one, two)):
            await socket.send(json.dumps({**subscribe, "id": str(number)}))
            assert (await told(socket))["type"] == "next"
        await two.send(json.dumps({**subscribe, "id": "4"}))
        while (message := await told(two))["type"] == "next":
            pass
        assert (message["type"], message["id"]) == ("error", "4")
        assert message["payload"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
        client = connect(guarded, token("hal"))
        body = {"query": FOLLOW, "variables": {"id": request_id}}
        streamed = await client.http.post("/graphql", json=body, headers={"Accept": "text/event-stream"})
        assert streamed.status_code == 429
        assert streamed.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
        assert (await client.http.get("/events")).status_code == 429
        # Others are not concerned, and nor is what is no subscription.
        assert await client.data("{ viewer { id } }") == {"viewer": {"id": "hal"}}
        other = await waiting(guarded, connect, "ivy")
        assert await connect(guarded, token("ivy")).request(other)
    async with opened(guarded, payload) as socket:
        assert await told(socket) == {"type": "connection_ack"}


async def test_subscriptions_that_come_at_once_are_counted_too(guarded: Program, connect: Connect) -> None:
    request_id = await waiting(guarded, connect, "jon")
    payload = {"authorization": f"Bearer {token('jon')}"}
    subscribe = {"type": "subscribe", "payload": {"query": FOLLOW, "variables": {"id": request_id}}}
    async with opened(guarded, payload) as socket:
        assert await told(socket) == {"type": "connection_ack"}
        for number in range(20):
            await socket.send(json.dumps({**subscribe, "id": str(number)}))
        refused, followed = set[str](), set[str]()
        while len(refused | followed) < 20:
            message = await told(socket)
            (refused if message["type"] == "error" else followed).add(message["id"])
        assert (len(refused), len(followed)) == (17, 3)


async def test_a_key_set_that_is_away_is_no_fault_of_the_callers(tmp_path: Any, connect: Connect) -> None:
    with running(tmp_path, {"JWT_JWKS_URL": "http://127.0.0.1:1/keys"}, served=False) as program:
        client = connect(program, token("ada"))
        response = await client.http.post("/graphql", json={"query": "{ viewer { id } }"})
        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await client.http.get("/events")).status_code == 503
        async with opened(program, {"authorization": f"Bearer {token('ada')}"}) as socket:
            assert await close_code(socket) == 1013
