from __future__ import annotations

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from server.hosts import CrossOrigin, LocalHosts


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("ours")(scope, receive, send)


@pytest.mark.parametrize(
    ("listening", "status"),
    [("127.0.0.1", 200), ("[::1]", 200), ("192.168.0.7", 421), ("[2001:db8::1]", 421), ("[::ffff:127.0.0.1]", 200)],
)
async def test_what_did_not_come_by_loopback_is_refused_whatever_it_calls_us(listening: str, status: int) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(LocalHosts(app, None))) as client:
        answer = await client.get(f"http://{listening}:8000/", headers={"Host": "localhost"})
    assert answer.status_code == status
    assert status == 200 or "JWT_SECRET" in answer.json()["error"]


async def test_the_log_says_which_origin_was_refused() -> None:
    asks = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    with capture_logs() as logged:
        for allowed in ([], ["http://localhost:5173"]):
            cross_origin = CrossOrigin(app, allow_origins=allowed, allow_methods=["POST"])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(cross_origin)) as client:
                answer = await client.options("http://127.0.0.1:8000/graphql", headers=asks)
            assert answer.status_code == (200 if allowed else 400)
    assert [line["origin"] for line in logged] == ["http://localhost:5173"]


async def test_a_unix_socket_is_of_this_machine() -> None:
    scope = {"type": "http", "headers": [(b"host", b"localhost")], "server": ("/run/maquette.sock", None)}
    sent = []

    async def send(message) -> None:
        sent.append(message)

    await LocalHosts(app, None)(scope, None, send)
    assert sent[0]["status"] == 200
