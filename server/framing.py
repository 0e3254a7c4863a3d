"""How what is told is written: into a response that lasts, or as messages of a WebSocket.

GraphQL over SSE, distinct connections: https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md
Apollo's multipart subscriptions:
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from events.feed import Told
from resolvers.operations import Result
from server.negotiation import Media

RETRY_MILLISECONDS = 2000
BOUNDARY = "graphql"
KNOWN_IDS = 4096
encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is sent every so many seconds, so that nobody on the way takes the connection for dead."""

    frame: bytes
    seconds: float


SSE_PULSE = Pulse(b": still here\n\n", 15)


class Frames(ABC):
    """One way of writing into a response that lasts."""

    media_type: str
    pulse: Pulse
    opening: bytes

    @abstractmethod
    def frame(self, body: bytes) -> bytes:
        """One event."""

    @abstractmethod
    def end(self, fault: Result | None = None) -> bytes:
        """What goes after the last event: errors, where the stream had to end before it was complete."""

    def wire(self, told: Sequence[Told]) -> bytes:
        """A chunk of HTTP/1.1."""
        return chunk(b"".join([self.frame(one.body) for one in told]))

    def whole(self, result: Result) -> bytes:
        """A stream of one result."""
        return self.opening + self.frame(encode(result)) + self.end()


class PlainEvents(Frames):
    """The plain SSE streams. What is told of an event is its frame already: it has the event's name and number."""

    media_type = "text/event-stream; charset=utf-8"
    pulse = SSE_PULSE
    opening = b"retry: %d\n\n" % RETRY_MILLISECONDS

    def frame(self, body: bytes) -> bytes:
        return body

    def end(self, fault: Result | None = None) -> bytes:  # noqa: ARG002  # it has no words for one
        return b""


class EventStream(Frames):
    """Events `next` and `complete`. Lines end in LF: some clients split at nothing else."""

    media_type = "text/event-stream; charset=utf-8"
    pulse = SSE_PULSE
    opening = b":\n\n"

    def frame(self, body: bytes) -> bytes:
        return b"event: next\ndata: %b\n\n" % body

    def end(self, fault: Result | None = None) -> bytes:
        # A browser's EventSource passes over an event without data.
        complete = b"event: complete\ndata:\n\n"
        return complete if fault is None else self.frame(encode(fault)) + complete


class Multipart(Frames):
    """Parts of JSON. Each is followed by its delimiter, so that a client need not wait for the next."""

    media_type = f'multipart/mixed; boundary="{BOUNDARY}"; subscriptionSpec=1.0'
    pulse = Pulse(f"\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}".encode(), 5)
    opening = f"--{BOUNDARY}".encode() + pulse.frame

    def frame(self, body: bytes) -> bytes:
        return self._part(b'{"payload":%b}' % body)

    def end(self, fault: Result | None = None) -> bytes:
        return b"--\r\n" if fault is None else self._part(encode({"payload": None, **fault})) + b"--\r\n"

    @staticmethod
    def _part(body: bytes) -> bytes:
        return b"\r\nContent-Type: application/json\r\n\r\n%b\r\n--%b" % (body, BOUNDARY.encode())


PLAIN_EVENTS = PlainEvents()
FRAMINGS: dict[Media, Frames] = {Media.EVENT_STREAM: EventStream(), Media.MULTIPART: Multipart()}


class Next:
    """The results of one operation on a WebSocket."""

    def __init__(self, operation_id: str) -> None:
        self._head = b'{"id":%b,"type":"next","payload":' % encode(operation_id)

    def message(self, body: bytes) -> bytes:
        return self._head + body + b"}"

    def wire(self, told: Sequence[Told]) -> bytes:
        return b"".join([text_frame(self.message(one.body)) for one in told])


# Most clients have their operations numbered or named alike: what is written to all of them is then the same.
next_of = lru_cache(KNOWN_IDS)(Next)


def chunk(body: bytes) -> bytes:
    """A chunk of HTTP/1.1 (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def text_frame(message: bytes) -> bytes:
    """A whole text message of a WebSocket's server (RFC 6455, section 5.2), not compressed."""
    length = len(message)
    if length < 126:
        return bytes((0x81, length)) + message
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2) + message
    return b"\x81\x7f" + length.to_bytes(8) + message
