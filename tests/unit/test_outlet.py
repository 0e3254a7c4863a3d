"""What reaches a client's connection, whether it takes everything at once, slowly, or not at all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.feed import Batch, Told
from server.framing import FRAMINGS, Next, chunk, next_of, text_frame
from server.negotiation import Media
from server.outlet import QUEUE_BYTES, QUEUE_LIMIT, Outlet
from server.transport import ROOM, Line
from tests.unit.events.test_follow import settle
from tests.waiting import until


class Transport:
    """Keeps what is written, and counts what the client has not read yet."""

    def __init__(self) -> None:
        self.written = b""
        self.unread = 0
        self.closing = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.closing

    def write(self, wire: bytes) -> None:
        assert not self.closing
        self.written += wire


class Numbers:
    def wire(self, told):
        return b"".join(b"%d " % one.number for one in told)


NUMBERS = Numbers()


class Client(Outlet):
    def __init__(self, cursor: int = 0) -> None:
        super().__init__(NUMBERS, cursor)
        self.transport = Transport()
        self.line = Line(SimpleNamespace(__self__=SimpleNamespace(transport=self.transport)))  # type: ignore[arg-type]
        self.reads = asyncio.Event()
        self.reads.set()
        self.cuts = 0
        self.ended: list[Exception | None] = []

    async def send(self, told: Told) -> None:
        await self.reads.wait()
        await asyncio.sleep(0)
        self.transport.written += NUMBERS.wire([told])

    async def finish(self, fault: Exception | None) -> None:
        self.ended.append(fault)

    def cut_off(self) -> None:
        self.cuts += 1

    def stop_reading(self) -> None:
        self.reads.clear()
        self.transport.unread = ROOM

    def read_on(self) -> None:
        self.reads.set()
        self.transport.unread = 0

    @property
    def seen(self) -> list[int]:
        return [int(number) for number in self.transport.written.split()]


def batch(first: int, count: int) -> Batch:
    return Batch([Told(number, b"") for number in range(first, first + count)])


steps = st.lists(st.tuples(st.sampled_from(["batch", "batch", "stop", "read", "turn"]), st.integers(1, 9)), max_size=40)


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(0, 5))
def test_a_client_is_given_everything_once_and_in_order(script: list[tuple[str, int]], cursor: int):
    async def run() -> None:
        client, last = Client(cursor), 0
        for step, count in script:
            match step:
                case "batch":
                    client.take(batch(last + 1, count))
                    last += count
                case "stop":
                    client.stop_reading()
                case "read":
                    client.read_on()
                case "turn":
                    for _ in range(count):
                        await asyncio.sleep(0)
        client.end(None)
        client.read_on()
        for _ in range(6 * last):
            await asyncio.sleep(0)
        await settle()
        assert client.seen == list(range(cursor + 1, last + 1))
        assert (client.ended, client.cuts) == ([None], 0)

    asyncio.run(run())


async def test_nothing_is_begun_for_a_client_that_reads():
    client = Client()
    before = asyncio.all_tasks()
    client.take(batch(1, 100))
    assert client.seen == list(range(1, 101))
    assert asyncio.all_tasks() == before


async def test_a_client_that_does_not_read_is_cut_off_and_keeps_nothing():
    client = Client()
    client.stop_reading()
    for number in range(1, QUEUE_LIMIT + 1):
        client.take(batch(number, 1))
    assert client.cuts == 0
    client.take(batch(QUEUE_LIMIT + 1, 1))
    assert client.cuts == 1
    assert client._waiting is None
    await settle()
    assert (client.seen, client.ended) == ([], [])


async def test_what_waits_is_bounded_in_bytes_too():
    client, half = Client(), b"x" * (QUEUE_BYTES // 2)
    client.stop_reading()
    client.take(Batch([Told(1, 3 * half)]))
    client.read_on()
    await until(lambda: client.seen == [1])
    client.stop_reading()
    client.take(Batch([Told(2, half)]))
    client.take(Batch([Told(3, half)]))
    assert client.cuts == 0
    client.take(Batch([Told(4, b"x")]))
    assert client.cuts == 1


async def test_a_fault_comes_after_what_waits():
    client, fault = Client(), OSError("away")
    client.stop_reading()
    client.take(batch(1, 3))
    client.end(fault)
    await settle()
    assert client.ended == []
    client.read_on()
    await settle()
    assert (client.seen, client.ended) == ([1, 2, 3], [fault])


async def test_without_a_transport_all_goes_by_the_server():
    client = Client()
    client.line = Line(lambda: None)  # type: ignore[arg-type,return-value]
    client.take(batch(1, 3))
    assert client.seen == []
    await settle()
    assert client.seen == [1, 2, 3]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_frames_of_a_websocket_are_what_a_client_reads(length: int):
    from websockets.frames import Frame, Opcode
    from websockets.streams import StreamReader

    reader = StreamReader()
    reader.feed_data(text_frame(b"x" * length))
    parsing = Frame.parse(reader.read_exact, mask=False, extensions=[])
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame = parsed.value.value
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.TEXT, True, b"x" * length)
    assert reader.buffer == b""


def test_chunks():
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_alike_clients_share_what_is_written():
    assert next_of("1") is next_of("1")
    assert Next('a"b').message(b"{}") == b'{"id":"a\\"b","type":"next","payload":{}}'
    told = batch(1, 2)
    framing = FRAMINGS[Media.EVENT_STREAM]
    assert told.wire(framing) is told.wire(framing)
