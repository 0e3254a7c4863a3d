from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from server.connections import HttpProtocol
from server.transport import HeadWithBody

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY: Message = {"type": "http.response.body", "body": b"ok"}


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_protocol(self) -> None:
        """None that has taken the connection over."""


def begun() -> tuple[Wire, HeadWithBody]:
    """A response whose head was written."""
    wire = Wire()
    transport = HeadWithBody(wire, asyncio.get_running_loop())
    transport.write(b"head;")
    return wire, transport


async def test_a_head_goes_with_the_body_that_follows_at_once():
    wire, transport = begun()
    transport.write(b"body")
    transport.write(b"more")
    await asyncio.sleep(0)
    assert wire.written == [b"head;body", b"more"]


async def test_a_head_does_not_wait_for_a_body():
    wire, transport = begun()
    await asyncio.sleep(0)
    assert wire.written == [b"head;"]
    transport.write(b"body")
    assert wire.written == [b"head;", b"body"]


async def test_a_head_is_not_lost_by_a_close():
    wire, transport = begun()
    transport.close()
    await asyncio.sleep(0)
    assert wire.written == [b"head;"]


async def test_nothing_is_written_to_what_is_closed():
    wire, _ = begun()
    wire.close()
    await asyncio.sleep(0)
    assert wire.written == []


@pytest.mark.parametrize(("method", "end"), [("GET", b"\r\n\r\nok"), ("HEAD", b"\r\n\r\n")])
async def test_an_answer_is_one_write_and_not_a_late_one(method: str, end: bytes):
    """What is read next may close the connection, and is read before anything else happens."""
    written: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
    wire = Wire()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(BODY)
        written.set_result(list(filter(None, wire.written)))

    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    protocol = HttpProtocol(config, ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(f"{method} / HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(5):
        answer = await written
    protocol.connection_lost(None)
    assert len(answer) == 1
    assert answer[0].startswith(b"HTTP/1.1 200")
    assert answer[0].endswith(end)
