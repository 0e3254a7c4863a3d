"""GraphQL over WebSocket, sentence by sentence: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance.conftest import Connect
from tests.acceptance.program import Client, Program, in_phase
from tests.waiting import until

PROTOCOL = "graphql-transport-ws"
INIT = {"type": "connection_init"}
FOLLOW = "subscription($id: ID!) { requestEvents(requestId: $id) { sequence ... on TaskUpdated { phase } } }"


@pytest.fixture
def client(face: Program, connect: Connect) -> Client:
    return connect(face)


@asynccontextmanager
async def opened(program: Program, *, init: bool = True, **options: Any) -> AsyncIterator[ClientConnection]:
    url = program.url.replace("http", "ws") + "/graphql"
    async with connect_socket(url, **{"subprotocols": [PROTOCOL], "proxy": None, **options}) as socket:
        if init:
            await socket.send(json.dumps(INIT))
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        yield socket


async def tell(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def subscribe(socket: ClientConnection, id: str, query: str, **payload: Any) -> None:  # noqa: A002  # its name
    await tell(socket, type="subscribe", id=id, payload={"query": query, **payload})


async def told(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """The code and the reason of the close, whatever comes before it."""
    with suppress(ConnectionClosed):
        while True:
            await told(socket)
    assert socket.close_code not in (None, 1006), "the connection broke off"
    return socket.close_code, socket.close_reason


@pytest.mark.parametrize("message", [INIT, {**INIT, "payload": None}, {**INIT, "payload": {"any": "thing"}}])
async def test_a_connection_is_acknowledged(face: Program, message: dict[str, Any]) -> None:
    async with opened(face, init=False) as socket:
        assert socket.subprotocol == PROTOCOL
        await tell(socket, **message)
        assert await told(socket) == {"type": "connection_ack"}


async def test_the_server_waits_only_so_long_for_the_initialisation(face: Program) -> None:
    async with opened(face, init=False) as socket:
        assert await closed(socket) == (4408, "Connection initialisation timeout")


async def test_a_second_initialisation_is_one_too_many(face: Program) -> None:
    async with opened(face) as socket:
        await tell(socket, **INIT)
        assert await closed(socket) == (4429, "Too many initialisation requests")


async def test_nothing_is_executed_before_the_acknowledgement(face: Program) -> None:
    async with opened(face, init=False) as socket:
        await subscribe(socket, "1", "{ viewer { id } }")
        assert await closed(socket) == (4401, "Unauthorized")


async def test_an_id_that_is_in_use_is_taken(face: Program, client: Client) -> None:
    request_id = await client.created("taken delay=20")
    async with opened(face) as socket:
        for _ in range(2):
            await subscribe(socket, "one", FOLLOW, variables={"id": request_id})
        assert await closed(socket) == (4409, "Subscriber for one already exists")
    await client.cancel(request_id)


async def test_an_id_may_be_used_again_once_it_is_free(face: Program) -> None:
    async with opened(face) as socket:
        for _ in range(3):
            await subscribe(socket, "1", "{ viewer { id } }")
            assert await told(socket) == {
                "id": "1",
                "type": "next",
                "payload": {"data": {"viewer": {"id": "local"}}},
            }
            assert await told(socket) == {"id": "1", "type": "complete"}


async def test_pings_are_answered_and_pongs_are_taken(face: Program) -> None:
    async with opened(face, init=False) as socket:
        await tell(socket, type="ping")
        assert await told(socket) == {"type": "pong"}
        await tell(socket, type="pong", payload={"unasked": True})
        await tell(socket, type="ping", payload={"a": [1]})
        assert await told(socket) == {"type": "pong", "payload": {"a": [1]}}


async def test_answers_to_pings_do_not_pile_up_for_who_does_not_read(face: Program) -> None:
    ping = b"\x89\xfd" + bytes(4) + bytes(125)  # masked, by zeros
    megabyte = ping * ((1 << 20) // len(ping))
    received = 0
    async with opened(face) as socket:
        receive = socket.protocol.receive_data

        def counted(data: bytes) -> None:
            nonlocal received
            received += len(data)
            receive(data)

        socket.protocol.receive_data = counted  # type: ignore[method-assign]
        socket.transport.pause_reading()
        for _ in range(40):
            socket.transport.write(megabyte)
            await until(lambda: socket.transport.get_write_buffer_size() == 0)
        socket.transport.resume_reading()
        await tell(socket, type="ping")
        assert await told(socket) == {"type": "pong"}
    # The system itself keeps some megabytes on either side.
    assert received < 20 << 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "null",
        "[]",
        '"ping"',
        "7",
        "{}",
        '{"type": null}',
        '{"type": 7}',
        '{"type": "unheard_of"}',
        '{"type": "next", "id": "1", "payload": {}}',
        '{"type": "connection_ack"}',
        '{"type": "start", "id": "1", "payload": {"query": "{ __typename }"}}',
        '{"type": "connection_init", "payload": []}',
        '{"type": "ping", "payload": "text"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": null}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": null}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 7}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "operationName": 7}}',
        '{"type": "subscribe", "id": ["1"], "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "payload": {"query": "{ __typename }"}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": {}}',
        '{"type": "ping", "payload": {"a": NaN}}',
        '{"type": "ping", "payload": {"a": ' + "9" * 5_000 + "}}",
        '{"type": "ping", "payload": {"a": ' + "[" * 50_000 + "]" * 50_000 + "}}",
        '{"type": "' + "x" * 2_000 + '"}',
        '{"type": "' + "€" * 2_000 + '"}',
    ],
)
async def test_a_message_that_is_not_specified_closes(face: Program, text: str) -> None:
    async with opened(face) as socket:
        await socket.send(text)
        code, reason = await closed(socket)
        assert code == 4400
        assert 0 < len(reason.encode()) <= 123


async def test_messages_must_be_text_and_of_a_size(face: Program) -> None:
    async with opened(face) as socket:
        await socket.send(b'{"type": "ping"}')
        assert (await closed(socket))[0] == 4400
    async with opened(face) as socket:
        await tell(socket, type="ping", payload={"a": "x" * (200 << 10)})
        assert (await closed(socket))[0] == 1009


async def test_only_one_subprotocol_is_spoken(face: Program) -> None:
    for subprotocols in (["graphql-ws"], None):
        async with opened(face, init=False, subprotocols=subprotocols) as socket:
            assert await closed(socket) == (4406, "Subprotocol not acceptable")
    async with opened(face, init=False, subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.subprotocol == PROTOCOL


async def test_a_page_of_another_site_may_not_connect(face: Program) -> None:
    for origin in ("https://evil.example", "null", f"{face.url}.evil.example", "nonsense", "http://["):
        with pytest.raises(InvalidStatus) as refused:
            async with opened(face, origin=origin):
                pass
        assert refused.value.response.status_code == 403
    async with opened(face, origin=face.url):
        pass


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ viewer {"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { viewer { id } } query B { viewer { id } }"}, "BAD_USER_INPUT"),
        ({"query": "query A { viewer { id } }", "operationName": "B"}, "BAD_USER_INPUT"),
        ({"query": "query($id: ID!) { request(id: $id) { id } }"}, "BAD_USER_INPUT"),
        ({"query": FOLLOW}, "BAD_USER_INPUT"),
        ({"query": FOLLOW, "variables": {"id": "req_nothing"}}, "NOT_FOUND"),
        ({"query": 'subscription { requestEvents(requestId: "r", afterSequence: -1) { id } }'}, "BAD_USER_INPUT"),
        ({"query": "{ viewer { " + "id " * 2_000 + "} }"}, "QUERY_TOO_COMPLEX"),
        ({"query": "{ viewer { id } }", "extensions": {"persistedQuery": 7}}, "PERSISTED_QUERY_NOT_SUPPORTED"),
    ],
)
async def test_an_operation_that_cannot_be_begun_ends_alone(face: Program, payload: dict[str, Any], code: str) -> None:
    async with opened(face) as socket:
        await tell(socket, type="subscribe", id="1", payload=payload)
        message = await told(socket)
        assert (message["type"], message["id"]) == ("error", "1")
        assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        # No `complete` follows an `error`, and the connection goes on.
        await tell(socket, type="ping")
        assert await told(socket) == {"type": "pong"}


async def test_errors_of_fields_come_with_the_result(face: Program) -> None:
    async with opened(face) as socket:
        await subscribe(socket, "1", "{ viewer { id } requests(first: -1) { totalCount } }")
        message = await told(socket)
        assert (message["type"], message["payload"]["data"]) == ("next", None)
        assert message["payload"]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert await told(socket) == {"id": "1", "type": "complete"}


async def test_mutations_and_subscriptions_share_a_connection(face: Program, client: Client) -> None:
    async with opened(face) as socket:
        create = 'mutation { createRequest(input: {prompt: "shared"}) { request { id } } }'
        await subscribe(socket, "m", create)
        request_id = (await told(socket))["payload"]["data"]["createRequest"]["request"]["id"]
        assert await told(socket) == {"id": "m", "type": "complete"}
        for id in ("a", "b"):  # noqa: A001  # the protocol's name
            await subscribe(socket, id, FOLLOW, variables={"id": request_id})
        seen: dict[str, list[int]] = {"a": [], "b": []}
        waiting = {"a", "b"}
        while waiting:
            message = await told(socket)
            event = message["payload"]["data"]["requestEvents"]
            seen[message["id"]].append(event["sequence"])
            if event.get("phase") == "AWAITING_SELECTION":
                waiting.discard(message["id"])
        assert seen["a"] == seen["b"] == list(range(1, 10))


async def test_nothing_comes_after_the_client_has_completed(face: Program, client: Client) -> None:
    request_id = await client.created("completed early delay=0.3")
    async with opened(face) as socket:
        await subscribe(socket, "1", FOLLOW, variables={"id": request_id})
        await told(socket)
        await tell(socket, type="complete", id="1")
        await tell(socket, type="complete", id="never heard of")
        await tell(socket, type="ping")
        while (await told(socket))["type"] != "pong":
            pass
        await client.follow(request_id, in_phase("AWAITING_SELECTION"))
        await tell(socket, type="ping")
        assert await told(socket) == {"type": "pong"}


async def test_deleting_the_request_completes_its_stream(face: Program, client: Client) -> None:
    request_id = await client.created("deleted")
    await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    async with opened(face) as socket:
        await subscribe(socket, "1", FOLLOW, variables={"id": request_id})
        assert (await told(socket))["type"] == "next"
        await client.delete(request_id)
        while (message := await told(socket))["type"] == "next":
            pass
        assert message == {"id": "1", "type": "complete"}


async def test_operations_on_one_connection_are_counted(face: Program, client: Client) -> None:
    request_id = await client.created("counted delay=20")
    async with opened(face) as socket:
        for number in range(101):
            await subscribe(socket, str(number), FOLLOW, variables={"id": request_id})
        while (message := await told(socket))["type"] == "next":
            pass
        assert (message["type"], message["id"]) == ("error", "100")
        assert message["payload"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    await client.cancel(request_id)


async def test_a_client_that_leaves_is_forgotten(face: Program, client: Client) -> None:
    request_id = await client.created("left delay=20")

    async def streams() -> float:
        metrics = (await client.http.get("/metrics")).text
        return float(next(line.split()[1] for line in metrics.splitlines() if line.startswith("maquette_streams ")))

    async def becomes(wanted: float) -> None:
        deadline = time.monotonic() + 5
        while await streams() != wanted:
            assert time.monotonic() < deadline, await streams()

    before = await streams()
    async with opened(face) as socket:
        for number in range(20):
            await subscribe(socket, str(number), FOLLOW, variables={"id": request_id})
        await becomes(before + 20)
        socket.transport.abort()
        await becomes(before)
    await client.cancel(request_id)
