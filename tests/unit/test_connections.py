from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from server.connections import HttpProtocol

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY: Message = {"type": "http.response.body", "body": b"ok"}


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def get_protocol(self) -> None:
        pass


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
