from __future__ import annotations

import asyncio

from server.transport import HeadWithBody


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_a_head_goes_with_the_body_that_follows_at_once():
    wire = Wire()
    transport = HeadWithBody(wire, asyncio.get_running_loop())
    transport.write(b"head;")
    transport.write(b"body")
    transport.write(b"more")
    await asyncio.sleep(0)
    assert wire.written == [b"head;body", b"more"]


async def test_a_head_does_not_wait_for_a_body():
    wire = Wire()
    transport = HeadWithBody(wire, asyncio.get_running_loop())
    transport.write(b"head;")
    await asyncio.sleep(0)
    assert wire.written == [b"head;"]
    transport.write(b"body")
    assert wire.written == [b"head;", b"body"]


async def test_a_head_is_not_lost_by_a_close():
    wire = Wire()
    transport = HeadWithBody(wire, asyncio.get_running_loop())
    transport.write(b"head;")
    transport.close()
    await asyncio.sleep(0)
    assert wire.written == [b"head;"]


async def test_nothing_is_written_to_what_is_closed():
    wire = Wire()
    transport = HeadWithBody(wire, asyncio.get_running_loop())
    transport.write(b"head;")
    wire.close()
    await asyncio.sleep(0)
    assert wire.written == []
