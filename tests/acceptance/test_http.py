"""GraphQL over HTTP, sentence by sentence: https://graphql.github.io/graphql-over-http/draft/"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import InvalidStatus

from server.connections import MOST_PIPELINED
from tests.acceptance.conftest import Connect
from tests.acceptance.program import Client, Program, in_phase, running
from tests.waiting import until

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
SUBSCRIPTION = 'subscription { requestEvents(requestId: "req_nothing") { id } }'


@pytest.fixture
def client(face: Program, connect: Connect) -> Client:
    return connect(face)


def codes(response: httpx.Response) -> list[str]:
    body = response.json()
    assert "data" not in body, body
    return [error["extensions"]["code"] for error in body["errors"]]


async def post(client: Client, content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    headers = {"Content-Type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.http.post("/graphql", content=content, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b'{"query": "{ viewer { id } }"',
        b'\xff\xfe{"query"}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b'{"query": "{ viewer { id } }", "variables": {"a": NaN}}',
        b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
        b'{"query": "{ viewer { id } }", "variables": {"a": 1e999}}',
        b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
        b"[" * 100_000,
        b"{}",
        b'{"query": null}',
        b'{"query": 7}',
        b'{"query": "{ viewer { id } }", "variables": []}',
        b'{"query": "{ viewer { id } }", "extensions": "all"}',
        b'{"query": "{ viewer { id } }", "operationName": {}}',
        b'[{"query": "{ viewer { id } }"}]',
    ],
)
async def test_a_body_that_is_no_request_is_told_so(client: Client, body: bytes) -> None:
    for accept in (JSON, GRAPHQL_JSON):
        response = await post(client, body, Accept=accept)
        assert response.status_code == 400
        assert codes(response) == ["BAD_USER_INPUT"]
        assert response.headers["content-type"] == f"{accept}; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer {", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { id } } query B { viewer { id } }", "BAD_USER_INPUT"),
        ('query($a: Int = "x") { requests(first: $a) { totalCount } }', "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { request(id: $id) { id } }", "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_executed_has_a_code_and_no_data(client: Client, query: str, code: str) -> None:
    for accept, status in ((JSON, 200), (GRAPHQL_JSON, 400)):
        response = await client.http.post("/graphql", json={"query": query}, headers={"Accept": accept})
        assert (response.status_code, set(codes(response))) == (status, {code})
    error = response.json()["errors"][0]
    assert error["message"]


async def test_an_operation_is_chosen_by_its_name(client: Client) -> None:
    query = "query A { viewer { id } } query B { viewer { isOperator } }"
    for name, data in (("A", {"id": "local"}), ("B", {"isOperator": True})):
        response = await client.http.post("/graphql", json={"query": query, "operationName": name})
        assert response.json() == {"data": {"viewer": data}}
    response = await client.http.post("/graphql", json={"query": query, "operationName": "C"})
    assert codes(response) == ["BAD_USER_INPUT"]
    response = await client.http.post("/graphql", json={"query": "{ viewer { id } }", "operationName": ""})
    assert response.json() == {"data": {"viewer": {"id": "local"}}}


async def test_suggestions_help_whoever_explores(client: Client) -> None:
    result = await client.execute("{ viewr { id } }")
    assert "Did you mean 'viewer'" in result["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_JSON}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed", GRAPHQL_JSON),
        (f"text/event-stream;q=0, {JSON}", JSON),
        (f"text/event-stream, {JSON}", JSON),
        (f"text/event-stream;q=1, {JSON};q=0.1", "text/event-stream"),
        ("multipart/mixed;subscriptionSpec=1.0, " + JSON, JSON),
    ],
)
async def test_the_media_type_is_negotiated(client: Client, accept: str, given: str) -> None:
    response = await client.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, f"{given}; charset=utf-8")


async def test_a_media_type_that_is_not_spoken_is_406(client: Client) -> None:
    for accept in ("image/png", "text/event-stream;q=0", f"{JSON};q=0", "multipart/mixed;deferSpec=20220824"):
        response = await client.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
        assert response.status_code == 406
        assert codes(response) == ["BAD_USER_INPUT"]
    subscribed = await client.http.post("/graphql", json={"query": SUBSCRIPTION}, headers={"Accept": JSON})
    assert subscribed.status_code == 406
    assert "text/event-stream" in subscribed.json()["errors"][0]["message"]


async def test_other_methods_are_told_which_are_allowed(client: Client) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        response = await client.http.request(method, "/graphql", json={"query": "{ __typename }"})
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
        assert codes(response) == ["BAD_USER_INPUT"]


async def test_queries_may_be_sent_by_get_and_mutations_may_not(client: Client) -> None:
    query = "query($id: ID!) { request(id: $id) { id } }"
    parameters = {"query": query, "variables": json.dumps({"id": "req_nothing"})}
    response = await client.http.get("/graphql", params=parameters)
    assert response.json() == {"data": {"request": None}}
    mutation = 'mutation { cancelRequest(input: {requestId: "req_nothing"}) { userErrors { code } } }'
    refused = await client.http.get("/graphql", params={"query": mutation})
    assert (refused.status_code, refused.headers["allow"], codes(refused)) == (405, "POST", ["BAD_USER_INPUT"])
    for bad in ({"variables": "{"}, {"variables": "[]"}, {"extensions": "7"}):
        response = await client.http.get("/graphql", params={"query": "{ __typename }", **bad})
        assert (response.status_code, codes(response)) == (400, ["BAD_USER_INPUT"])
    assert (await client.http.get("/graphql")).status_code == 400
    assert (await client.http.head("/graphql", params={"query": "{ __typename }"})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": JSON, "Content-Encoding": "gzip"},
        {"Content-Type": ""},
    ],
)
async def test_what_a_form_of_another_site_can_send_is_refused(client: Client, headers: dict[str, str]) -> None:
    response = await client.http.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert (response.status_code, codes(response)) == (415, ["BAD_USER_INPUT"])


async def test_another_site_may_not_ask(client: Client) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    asked = await client.http.options("/graphql", headers={**headers, "Access-Control-Request-Headers": "content-type"})
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    read = await client.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("127.8.8.8", 200),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("192.168.0.7", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
async def test_without_tokens_a_name_that_is_made_to_mean_this_machine_is_refused(
    client: Client, host: str, status: int
) -> None:
    for path in ("/graphql?query={__typename}", "/"):
        assert (await client.http.get(path, headers={"Host": host})).status_code == status
    if status != 200:
        url = client.program.url.replace("http", "ws") + "/graphql"
        with pytest.raises(InvalidStatus) as refused:
            async with connect_socket(
                url, origin=f"http://{host}", additional_headers={"Host": host}, proxy=None, user_agent_header=None
            ):
                pass
        assert refused.value.response.status_code == 403


async def test_large_bodies_are_refused_unread(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b" " * (64 << 10)

    for response in (
        await post(client, b" " * (10 << 20)),
        await post(client, chunks()),
    ):
        assert (response.status_code, codes(response)) == (413, ["QUERY_TOO_COMPLEX"])
    assert (await post(client, b'{"query": "{ __typename }"}' + b" " * (100 << 10))).status_code == 200


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 10**30, 1.5, "1", True, [1], {"a": 1}])
async def test_variables_that_do_not_fit_are_told_so(client: Client, value: Any) -> None:
    response = await client.http.post(
        "/graphql",
        json={"query": "query($first: Int) { requests(first: $first) { totalCount } }", "variables": {"first": value}},
        headers={"Accept": GRAPHQL_JSON},
    )
    assert (response.status_code, codes(response)) == (400, ["BAD_USER_INPUT"])


async def test_deep_lists_in_variables_do_no_harm(client: Client) -> None:
    query = "query($filter: RequestFilter) { requests(filter: $filter) { totalCount } }"
    for depth in (10, 500, 900):
        body = '{"query": %s, "variables": {"filter": {"phase": %s}}}'
        response = await post(client, (body % (json.dumps(query), "[" * depth + "]" * depth)).encode())
        assert set(codes(response)) == {"BAD_USER_INPUT"}


async def test_hostile_queries_are_refused_at_once(client: Client) -> None:
    fragments = "".join(f"fragment f{n} on Viewer {{ ...f{n + 1} ...f{n + 1} }}" for n in range(22))
    for query in (
        f"{{ viewer {{ ...f0 }} }} {fragments} fragment f22 on Viewer {{ id }}",
        "{ viewer { " + "id " * 30_000 + "} }",
        "{ viewer { " + "a: id " * 150 + "} }",
        "{ viewer { id " + "@skip(if: false) " * 100 + "} }",
        "{ node(id: 1) " * 300 + "}" * 300,
        "{ requests(first: 100) { edges { node {" + "models { request {" * 4 + "images { id }" + "}}" * 4 + "} } } }",
        "\n" * 20_000 + "{ viewer { " + "id " * 10_000 + "} }",
    ):
        response = await client.http.post("/graphql", json={"query": query}, headers={"Accept": GRAPHQL_JSON})
        assert (response.status_code, codes(response)) == (400, ["QUERY_TOO_COMPLEX"]), query[:100]
        assert response.elapsed.total_seconds() < 2


async def test_persisted_queries_are_sent_once(client: Client) -> None:
    query = "{ viewer { id isOperator activeRequestLimit } }"
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}
    for accept, status in ((JSON, 200), (GRAPHQL_JSON, 400)):
        missed = await client.http.post("/graphql", json={"extensions": hashed}, headers={"Accept": accept})
        assert (missed.status_code, codes(missed)) == (status, ["PERSISTED_QUERY_NOT_FOUND"])
        assert missed.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    sent = await client.http.post("/graphql", json={"query": query, "extensions": hashed})
    assert sent.json()["data"]["viewer"]["id"] == "local"
    parameters = {"extensions": json.dumps(hashed)}
    for headers in ({}, {"Accept": "text/html,*/*;q=0.8"}):
        assert (await client.http.get("/graphql", params=parameters, headers=headers)).json() == sent.json()
    async with client.socket() as socket:
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"extensions": hashed}}))
        assert json.loads(await socket.recv())["payload"] == sent.json()
    wrong = await client.http.post("/graphql", json={"query": "{ viewer { id } }", "extensions": hashed})
    assert codes(wrong) == ["BAD_USER_INPUT"]


async def test_introspection_is_open_to_explorers(client: Client) -> None:
    from graphql import build_client_schema, get_introspection_query

    schema = build_client_schema(await client.data(get_introspection_query()))
    assert schema.get_type("GenerationRequest")


async def test_nothing_internal_is_shown(face: Program, client: Client) -> None:
    request_id = await client.created("a row gone bad")
    await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    with sqlite3.connect(face.folder / "maquette.db") as database:
        database.execute("UPDATE generation_requests SET status = 'SECRET_NONSENSE' WHERE id = ?", (request_id,))
    query = "query($id: ID!) { request(id: $id) { id } }"
    result = await client.execute(query, id=request_id)
    [error] = result["errors"]
    assert (result["data"], error["extensions"]["code"]) == ({"request": None}, "INTERNAL_SERVER_ERROR")
    message_id = error["message"].rstrip(".").split()[-1]
    assert "NONSENSE" not in json.dumps(result)
    assert message_id in face.log
    async with client.socket() as socket:
        payload = {"query": query, "variables": {"id": request_id}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        message = json.loads(await socket.recv())
        assert message["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert "NONSENSE" not in json.dumps(message)


async def test_a_database_that_is_away_is_told_of(tmp_path: Any, connect: Connect) -> None:
    with running(tmp_path, {}, served=False) as program:
        client = connect(program)
        with sqlite3.connect(tmp_path / "maquette.db") as database:
            database.execute("ALTER TABLE generation_requests RENAME TO elsewhere")
        query = "{ viewer { id activeRequests } }"
        result = await client.execute(query)
        assert [error["extensions"]["code"] for error in result["errors"]] == ["UNAVAILABLE"]
        assert "generation_requests" not in json.dumps(result)
        subscription = 'subscription { requestEvents(requestId: "req_1") { id } }'
        streamed = await client.http.post(
            "/graphql", json={"query": subscription}, headers={"Accept": "text/event-stream"}
        )
        assert "UNAVAILABLE" in streamed.text
        assert "generation_requests" not in streamed.text
        plain = await client.http.get("/requests/req_1/events")
        assert plain.status_code == 503
        assert "generation_requests" not in plain.text


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"X-Large: " + b"a" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"X-Many: a\r\n" * 7_000,
    ],
    ids=["address", "header", "headers"],
)
async def test_a_head_has_a_bound(face: Program, head: bytes) -> None:
    assert (await _answer(face, head)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nX-Never: "], ids=["nothing", "half"])
async def test_a_head_has_its_time(face: Program, head: bytes) -> None:
    assert (await _answer(face, head)).startswith(b"HTTP/1.1 408 ")


async def test_a_head_after_an_answer_has_its_time(face: Program) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = await _answer(face, whole + whole + b"GET / HTTP/1.1\r\nX-Never: ")
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert b"HTTP/1.1 408 " in answer


@pytest.mark.parametrize(
    ("length", "rest"), [(10, b"a"), (1, b"a"), (0, b"\r\n")], ids=["a part of a body", "a body", "an empty line"]
)
async def test_what_comes_after_an_answer_keeps_no_connection(face: Program, length: int, rest: bytes) -> None:
    """It stops the timer of an idle connection, and a stranger could have all that the process may open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", face.port)
    async with asyncio.timeout(20):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % length)
        assert b"200" in await reader.readuntil(b'{"status":"ok"}')
        writer.write(rest)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.parametrize("more", [0, 3_000])
async def test_requests_that_wait_for_others_have_a_bound(face: Program, more: int) -> None:
    """One read brings thousands, each of which took memory until it was answered."""
    one = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n"
    sent = one % b"" * (MOST_PIPELINED + more) + one % b"Connection: close\r\n"
    try:
        answer = await _answer(face, sent)
    except ConnectionError:
        answer = b""
    answered = answer.count(b'{"status":"ok"}')
    assert answered <= MOST_PIPELINED if more else answered == MOST_PIPELINED + 1


async def test_who_takes_nothing_of_a_file_is_cut_off(face: Program) -> None:
    key = "requests/req_large/mdl_1-token/model.glb"
    path = face.folder / "files" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(32 << 20))

    def is_open() -> bool:
        for opened in Path(f"/proc/{face.api.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if opened.readlink() == path:
                    return True
        return False

    with socket.create_connection(("127.0.0.1", face.port)) as silent:
        silent.sendall(f"GET /files/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await until(is_open)
        await until(lambda: not is_open(), 30)


async def _answer(face: Program, sent: bytes) -> bytes:
    """All that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", face.port)
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'[{"query": "{ viewer { id } }"}]', "Batches are not taken: send one operation"),
        (b'{"query": ', "What was sent is no JSON: Input data was truncated"),
        (b'{"query": 7}', "Expected `str | null`, got `int` - at `$.query`"),
    ],
)
async def test_what_is_wrong_with_a_body_is_told(client: Client, body: bytes, expected: str) -> None:
    assert expected in (await post(client, body)).json()["errors"][0]["message"]


async def test_what_is_no_cursor_is_refused(client: Client) -> None:
    response = await post(client, b'{"query": "{ requests(after: \\"zzz\\") { edges { cursor } } }"}')
    assert "is no cursor of this list" in response.json()["errors"][0]["message"]
