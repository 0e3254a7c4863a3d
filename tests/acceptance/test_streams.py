"""Responses that last: GraphQL over SSE, Apollo's multipart subscriptions, plain SSE; and clients that do not read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Connect
from tests.acceptance.program import Client, Program, in_phase

FOLLOW = "subscription($id: ID!) { requestEvents(requestId: $id) { sequence name ... on TaskUpdated { phase } } }"
EVENT_STREAM = "text/event-stream"
MULTIPART = 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'


@pytest.fixture
def client(face: Program, connect: Connect) -> Client:
    return connect(face)


@pytest.fixture
async def request_id(client: Client) -> str:
    created = await client.created("streamed")
    await client.follow(created, in_phase("AWAITING_SELECTION"))
    return created


@asynccontextmanager
async def streamed(client: Client, accept: str, query: str, **variables: Any) -> AsyncIterator[httpx.Response]:
    body = {"query": query, "variables": variables}
    async with client.http.stream("POST", "/graphql", json=body, headers={"Accept": accept}) as response:
        assert response.status_code == 200, await response.aread()
        yield response


async def whole(client: Client, accept: str, query: str, **variables: Any) -> str:
    async with streamed(client, accept, query, **variables) as response:
        return (await response.aread()).decode()


def events(text: str) -> list[tuple[str, str]]:
    """The events of an SSE stream, each as its name and data."""
    assert "\r" not in text
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    pairs = [dict(line.partition(":")[::2] for line in frame.split("\n")) for frame in frames]
    return [(pair["event"].strip(), pair["data"].strip()) for pair in pairs]


def parts(text: str) -> list[Any]:
    """The parts of a multipart stream that has ended."""
    preamble, *middle, epilogue = ("\r\n" + text).split("\r\n--graphql")
    assert (preamble, epilogue) == ("", "--\r\n")
    bodies = []
    for part in middle:
        head, _, body = part.partition("\r\n\r\n")
        assert head == "\r\nContent-Type: application/json"
        bodies.append(json.loads(body))
    return bodies


async def test_sse_ends_with_complete(client: Client, request_id: str) -> None:
    async with streamed(client, EVENT_STREAM, FOLLOW, id=request_id) as response:
        assert response.headers["content-type"].startswith(EVENT_STREAM)
        assert response.headers["cache-control"] == "no-cache, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if "AWAITING_SELECTION" in chunk:
                await client.delete(request_id)
    *nexts, complete = events(text)
    assert complete == ("complete", "")
    assert {name for name, _ in nexts} == {"next"}
    assert [json.loads(data)["data"]["requestEvents"]["sequence"] for _, data in nexts] == list(range(1, 10))


async def test_sse_carries_single_results_and_errors_too(client: Client) -> None:
    assert events(await whole(client, EVENT_STREAM, "{ viewer { id } }")) == [
        ("next", '{"data":{"viewer":{"id":"local"}}}'),
        ("complete", ""),
    ]
    for query, code in (
        ("{ viewer {", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (FOLLOW, "BAD_USER_INPUT"),
        ('subscription { requestEvents(requestId: "req_nothing") { id } }', "NOT_FOUND"),
    ):
        (name, data), complete = events(await whole(client, EVENT_STREAM, query))
        assert (name, complete) == ("next", ("complete", ""))
        assert json.loads(data)["errors"][0]["extensions"]["code"] == code
        assert "data" not in json.loads(data)


async def test_sse_by_get(client: Client, request_id: str) -> None:
    parameters = {"query": FOLLOW, "variables": json.dumps({"id": request_id})}
    async with client.http.stream("GET", "/graphql", params=parameters, headers={"Accept": EVENT_STREAM}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                assert json.loads(line[5:])["data"]["requestEvents"]["sequence"] == 1
                break


async def test_multipart_has_its_delimiters_and_heartbeats(client: Client, request_id: str) -> None:
    async with streamed(client, MULTIPART, FOLLOW, id=request_id) as response:
        assert response.headers["content-type"].startswith('multipart/mixed; boundary="graphql"')
        text, beats = "", 0
        async for chunk in response.aiter_text():
            text += chunk
            beats += "\r\n\r\n{}\r\n" in chunk
            if beats == 2:
                await client.delete(request_id)
                beats = 3
    bodies = parts(text)
    assert bodies[0] == {}
    assert bodies.count({}) >= 2
    told = [body["payload"]["data"]["requestEvents"]["sequence"] for body in bodies if body]
    assert told == list(range(1, 10))


async def test_multipart_carries_errors(client: Client) -> None:
    for query, code in (
        (FOLLOW, "BAD_USER_INPUT"),
        ('subscription { requestEvents(requestId: "req_nothing") { id } }', "NOT_FOUND"),
    ):
        _, body = parts(await whole(client, MULTIPART, query))
        assert body["payload"]["errors"][0]["extensions"]["code"] == code
    # Before it is known to be a subscription, the errors come as the JSON that is accepted as well.
    response = await client.http.post("/graphql", json={"query": "{ nothing }"}, headers={"Accept": MULTIPART})
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_every_transport_tells_the_same(client: Client, request_id: str) -> None:
    async def first(accept: str) -> Any:
        async with streamed(client, accept, FOLLOW, id=request_id) as response:
            lines = (line async for line in response.aiter_lines() if "requestEvents" in line)
            return json.loads((await anext(lines)).removeprefix("data: "))

    by_sse, by_parts = await first(EVENT_STREAM), await first(MULTIPART)
    async with client.socket() as websocket:
        payload = {"query": FOLLOW, "variables": {"id": request_id}}
        await websocket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        by_socket = json.loads(await websocket.recv())["payload"]
    assert by_sse == by_parts["payload"] == by_socket


# A megabyte for each event: more than what the system itself keeps for a connection.
LARGE = (
    "subscription($id: ID!) { requestEvents(requestId: $id) { request { ...R } } } "
    "fragment R on GenerationRequest { " + " ".join(f"i{number}: images {{ ...P }}" for number in range(5)) + " } "
    "fragment P on GeneratedImage { " + " ".join(f"p{number}: prompt" for number in range(25)) + " }"
)


def frame(text: str) -> bytes:
    """A masked frame of text, as a client sends it."""
    content, mask = text.encode(), os.urandom(4)
    length = bytes([128 | len(content)]) if len(content) < 126 else bytes([254, *len(content).to_bytes(2)])
    return b"\x81" + length + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))


def deaf(program: Program) -> socket.socket:
    """A connection that has room for next to nothing, and whose other end nobody reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", program.port))
    return connection


def deaf_websocket(program: Program, request_id: str) -> socket.socket:
    connection = deaf(program)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    assert b" 101 " in connection.recv(4096)
    connection.sendall(frame('{"type": "connection_init"}'))
    for number in range(3):
        payload = {"query": LARGE, "variables": {"id": request_id}}
        connection.sendall(frame(json.dumps({"type": "subscribe", "id": str(number), "payload": payload})))
    return connection


def deaf_stream(program: Program, request_id: str, accept: str) -> socket.socket:
    connection = deaf(program)
    body = json.dumps({"query": LARGE, "variables": {"id": request_id}})
    connection.sendall(
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def is_dropped(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLERR | select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


@pytest.mark.parametrize("transport", ["websocket", EVENT_STREAM, "multipart/mixed;subscriptionSpec=1.0"])
async def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(
    face: Program, client: Client, transport: str
) -> None:
    request_id = await client.created("long " + "x" * 1_990)
    await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    if transport == "websocket":
        connection = await asyncio.to_thread(deaf_websocket, face, request_id)
    else:
        connection = await asyncio.to_thread(deaf_stream, face, request_id, transport)
    with connection:
        begun = time.monotonic()
        other = await client.created("quick")
        await client.follow(other, in_phase("AWAITING_SELECTION"))
        assert time.monotonic() - begun < 5
        assert await asyncio.to_thread(is_dropped, connection, 15)


async def test_streams_end_when_the_server_stops_whoever_runs_it(tmp_path: Path, connect: Connect) -> None:
    program = Program(tmp_path, {}, served=False)
    uvicorn = Path(sys.executable).parent / "uvicorn"
    process = await asyncio.create_subprocess_exec(
        uvicorn, "server.app:app", "--port", str(program.port), env=program.environment, cwd=tmp_path
    )
    try:
        client = connect(program)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.http.get("/readyz")
                    break
                await asyncio.sleep(0.05)
        request_id = await client.created("stopped delay=30")
        async with client.socket() as websocket, client.http.stream("GET", "/events") as plain:
            payload = {"query": FOLLOW, "variables": {"id": request_id}}
            await websocket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            assert json.loads(await websocket.recv())["type"] == "next"
            async with streamed(client, EVENT_STREAM, FOLLOW, id=request_id) as graphql:
                process.send_signal(signal.SIGTERM)
                assert (await plain.aread()).startswith(b"retry: ")
                assert (await graphql.aread()).endswith(b"event: complete\ndata:\n\n")
                await websocket.wait_closed()
                assert websocket.close_code == 1001
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
