"""A wire to a server that can be cut, refuse, stall or be slow, while the server itself is well."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self

from tests.servers import free_port

CHUNK_BYTES = 1 << 16


class Wire:
    """Relays a port of 127.0.0.1 to another. All methods block until they are done."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._delay = 0.0
        self._era = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Break every connection; new ones are welcome."""
        self._run(self._cut())

    def refuse(self) -> None:
        """Break every connection, and let nobody in."""
        self._run(self._refuse())

    def stall(self) -> None:
        """Hold all that is sent, either way."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def vanish(self) -> None:
        """Drop all that is sent on the connections there are, without a word; new ones are welcome."""
        self._era += 1

    def slow(self, seconds: float) -> None:
        """Hold each piece for so long."""
        self._delay = seconds

    def mend(self) -> None:
        self._run(self._mend())

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(10)

    async def _open(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _mend(self) -> None:
        self._delay = 0.0
        self._flows.set()
        if self._server is None:
            await self._open()

    async def _close(self) -> None:
        await self._refuse()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            await asyncio.gather(self._relay(reader, back), self._relay(there, writer))
        finally:
            for end in (writer, back):
                end.transport.abort()
                self._writers.discard(end)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        era = self._era
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flows.wait()
                if era != self._era:
                    continue
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()
        # Half-open connections are of no use to anyone here.
        for end in (writer,):
            if not end.is_closing():
                end.close()
