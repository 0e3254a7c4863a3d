"""What uvicorn leaves to a client that does not read."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from server import upgraded
from server.upgraded import MOST_UNREAD_BYTES, WebSocketProtocol
from tests.waiting import until


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.unread = 0
        self.closing = self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = True


class Connection:
    """The protocol's state: what is to be sent, once."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def fail(self, code: int, reason: str) -> None:
        self.sent.append(f"{code} {reason}".encode())

    def data_to_send(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def protocol() -> WebSocketProtocol:
    protocol = WebSocketProtocol.__new__(WebSocketProtocol)
    protocol.transport, protocol.conn = Transport(), Connection()  # type: ignore[assignment]
    protocol.logger = SimpleNamespace(level=logging.INFO)  # type: ignore[assignment]
    protocol.close_sent = False
    return protocol


def test_a_ping_is_not_answered_while_much_is_unread(protocol: WebSocketProtocol):
    transport, connection = protocol.transport, protocol.conn
    for unread, written in ((0, b"pong"), (MOST_UNREAD_BYTES + 1, b"pong"), (MOST_UNREAD_BYTES, b"pongpong")):
        transport.unread = unread  # type: ignore[attr-defined]
        connection.sent.append(b"pong")  # type: ignore[attr-defined]
        protocol.handle_ping()
        assert transport.written == written  # type: ignore[attr-defined]
        assert connection.sent == []  # type: ignore[attr-defined]
    assert not transport.is_closing()


@pytest.mark.parametrize("ends", [True, False])
async def test_who_is_found_dead_is_cut_off(protocol: WebSocketProtocol, monkeypatch: pytest.MonkeyPatch, ends: bool):
    monkeypatch.setattr(upgraded, "UNREAD_CLOSE_SECONDS", 0.01)
    protocol.loop = asyncio.get_running_loop()
    protocol.close_sent = not ends
    protocol.keepalive_timeout()
    assert protocol.transport.written == (b"1011 keepalive ping timeout" if ends else b"")  # type: ignore[attr-defined]
    if ends:
        await until(lambda: protocol.transport.aborted)  # type: ignore[attr-defined]
    else:
        await asyncio.sleep(0.05)
        assert not protocol.transport.aborted  # type: ignore[attr-defined]
