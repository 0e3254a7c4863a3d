"""Clients that never read, a thousand of them, and connections that are dropped, five thousand: no harm to anybody."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from db.session import POOL_SIZE
from tests.acceptance.conftest import Connect, servers
from tests.acceptance.program import Client, Program, in_phase, running
from tests.servers import missing
from tests.waiting import until

SILENT = 1_000
DROPPED = 5_000
ROUNDS = 4
AT_ONCE = 500
MEGABYTE = 1 << 20
SLOW_SECONDS = 2.0
SETTLED = in_phase("AWAITING_SELECTION")


@pytest.fixture(scope="module", autouse=True)
def descriptors() -> Iterator[None]:
    """Leave for a thousand sockets, here and in what is started from here."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * SILENT
    if before < needed:
        if most not in (resource.RLIM_INFINITY,) and most < needed:
            missing(f"a process may have no more than {most} files open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    if not Path("/proc/self/statm").exists():
        missing("there is no /proc to see a process's memory in")
    patience = {"SLOW_CLIENT_SECONDS": str(SLOW_SECONDS), "MAX_ACTIVE_REQUESTS": "0", "IMAGE_CONCURRENCY": "10"}
    with running(tmp_path_factory.mktemp("crowd"), {**servers(request, "served"), **patience}, served=True) as program:
        yield program


class Process:
    """What an API costs."""

    def __init__(self, client: Client) -> None:
        assert client.program.api is not None
        self._proc = Path(f"/proc/{client.program.api.pid}")
        self._client = client

    @property
    def memory(self) -> int:
        return int((self._proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def files(self) -> int:
        return len(list((self._proc / "fd").iterdir()))

    async def streams(self) -> int:
        text = (await self._client.http.get("/metrics")).text
        found = re.search(r"^maquette_streams (\d+)", text, re.MULTILINE)
        assert found is not None, text
        return int(found[1])


def frame(message: object) -> bytes:
    """A WebSocket message of a client, masked with nothing."""
    data = json.dumps(message).encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


QUERY = "subscription { events { name sequence ... on ImageGenerating { prompt } } }"
SSE = "GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
WEBSOCKET = (
    "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


async def opened(port: int, head: str) -> socket.socket:
    """A subscriber that has been heard, with as little room for what comes as there can be."""
    loop = asyncio.get_running_loop()
    subscriber = socket.socket()
    subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    # The loopback's own segments are so large that the system alone would take megabytes.
    subscriber.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
    subscriber.setblocking(False)
    await loop.sock_connect(subscriber, ("127.0.0.1", port))
    await loop.sock_sendall(subscriber, head.format(port=port).encode())
    answer = await loop.sock_recv(subscriber, 512)
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")), answer
    if head is WEBSOCKET:
        subscribe = {"type": "subscribe", "id": "1", "payload": {"query": QUERY}}
        await loop.sock_sendall(subscriber, frame({"type": "connection_init"}) + frame(subscribe))
    return subscriber


async def many(count: int, port: int) -> list[socket.socket]:
    """Half of each kind."""
    found: list[socket.socket] = []
    while len(found) < count:
        found += await asyncio.gather(*(opened(port, head) for head in (SSE, WEBSOCKET) * 25))
    return found


async def timed(step: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await step()
    return time.perf_counter() - began


async def test_a_thousand_who_never_read(program: Program, connect: Connect) -> None:
    client = connect(program)
    process = Process(client)
    silent = await many(SILENT, program.port)
    try:
        await until(lambda: have(process, SILENT), 30)
        before = process.memory
        # Each event of a picture's beginning has its prompt in it: these are two kilobytes each.
        long = "a very long prompt, " * 98
        waits: list[float] = []
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                waits.append(await timed(lambda: client.data("{ viewer { id } }")))
                most = max(most, process.memory)
                await asyncio.sleep(0.05)

        watching = asyncio.create_task(watch())
        for number in range(20):
            request_id = await client.created(f"{long} {number}", optimizePrompt=False)
            events = await client.follow(request_id, SETTLED)
            assert len(events) == 9, "who reads is told as if nobody else were there"
        await until(lambda: have(process, 0), 30)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        assert most - before < SILENT * MEGABYTE / 5, f"{(most - before) / MEGABYTE:.0f} MB for {SILENT}"
        assert statistics.median(waits) < 1
        assert max(waits) < 5
    finally:
        for subscriber in silent:
            subscriber.close()


async def have(process: Process, count: int) -> bool:
    return await process.streams() == count


async def test_five_thousand_that_are_dropped(program: Program, connect: Connect) -> None:
    client = connect(program)
    process = Process(client)

    async def drop(count: int) -> None:
        for _ in range(count // AT_ONCE):
            subscribers = await many(AT_ONCE, program.port)
            for number, subscriber in enumerate(subscribers):
                if number % 3 == 0:
                    # With a reset: not even a goodbye of the system's.
                    subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                subscriber.close()
            await until(lambda: have(process, 0), 30)

    # What the process needs for so many at once, it keeps, and its allocator takes a while to have enough. With a leak,
    # each round would take as much as the one before.
    await drop(2 * AT_ONCE)
    await until(lambda: process.files < AT_ONCE / 4, 30)
    files, grown = process.files, []
    while not grown or (grown[-1] >= 16 * MEGABYTE and len(grown) < ROUNDS):
        memory = process.memory
        await drop(DROPPED)
        grown.append(process.memory - memory)
    # The pools of connections to the database may have filled meanwhile.
    await until(lambda: process.files <= files + 2 * POOL_SIZE + 8, 30)
    assert grown[-1] < 16 * MEGABYTE, f"{[round(size / MEGABYTE, 1) for size in grown]} MB more"
