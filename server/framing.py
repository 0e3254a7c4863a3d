"""How the results of an operation are written into a response that lasts.

GraphQL over SSE, distinct connections: https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md
Apollo's multipart subscriptions:
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from resolvers.operations import Result
from server.negotiation import Media
from server.streaming import Pulse

SSE_PULSE = Pulse(": still here\n\n", 15)
BOUNDARY = "graphql"


class Framing(ABC):
    """One way of writing results."""

    media_type: str
    pulse: Pulse

    @abstractmethod
    def opening(self) -> str:
        """What goes before the first result."""

    @abstractmethod
    def result(self, result: Result) -> str:
        """One result."""

    @abstractmethod
    def end(self, fault: Result | None = None) -> str:
        """What goes after the last result: errors, where the stream had to end before it was complete."""

    async def frames(self, results: AsyncGenerator[Result, None]) -> AsyncGenerator[str, None]:
        async with aclosing(results):
            yield self.opening()
            async for result in results:
                yield self.result(result)
            yield self.end()


class EventStream(Framing):
    """Events `next` and `complete`. Lines end in LF: some clients split at nothing else."""

    media_type = "text/event-stream; charset=utf-8"
    pulse = SSE_PULSE

    def opening(self) -> str:
        return ":\n\n"

    def result(self, result: Result) -> str:
        return f"event: next\ndata: {encode(result)}\n\n"

    def end(self, fault: Result | None = None) -> str:
        # A browser's EventSource passes over an event without data.
        complete = "event: complete\ndata:\n\n"
        return complete if fault is None else self.result(fault) + complete


class Multipart(Framing):
    """Parts of JSON. Each is followed by its delimiter, so that a client need not wait for the next."""

    media_type = f'multipart/mixed; boundary="{BOUNDARY}"; subscriptionSpec=1.0'
    pulse = Pulse(f"\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}", 5)

    def opening(self) -> str:
        return f"--{BOUNDARY}{self.pulse.frame}"

    def result(self, result: Result) -> str:
        return self._part({"payload": result})

    def end(self, fault: Result | None = None) -> str:
        return "--\r\n" if fault is None else self._part({"payload": None, **fault}) + "--\r\n"

    @staticmethod
    def _part(body: object) -> str:
        return f"\r\nContent-Type: application/json\r\n\r\n{encode(body)}\r\n--{BOUNDARY}"


FRAMINGS: dict[Media, Framing] = {Media.EVENT_STREAM: EventStream(), Media.MULTIPART: Multipart()}


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()
