"""A feed: what is told of events, made once and written to everyone who follows them alike.

A member first reads the rows up to where the feed is, and is then written to by the feed: neither leaves a gap or an
overlap, since nothing is awaited between.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

from events.calls import Calls
from events.types import RequestEvent

SLICE = 20
"""So many members are written to before others have their turn: an API call waits for no more at a time."""
COURTESY_SECONDS = 0.03
"""So long the members of a feed may wait for calls, for each batch of events."""
REST = 5
"""A feed rests for so many times as long as it wrote a batch: more gathers meanwhile that is written at one go."""
REST_SECONDS = 0.2
"""It rests for so long at most. It is quiet when it has had nothing to write for so long after a rest."""
IN_A_ROW = 3
"""Once more events than these have come and it was not quiet between, it rests within the batches: who reads for many
members has less to read at a time.
"""
STRIDE = 100
"""It then takes a part of its rest whenever it has written to so many members; a multiple of SLICE."""
MOST_WAITING = 256
"""So many events may wait for those before them to be written to everyone."""
MOST_WAITING_BYTES = 4 << 20
"""Once they have so many bytes, no more are read."""

Tell = Callable[[RequestEvent], Awaitable[bytes]]
"""Makes what members are told of an event."""
ReadAfter = Callable[[int], Awaitable[list[RequestEvent]]]
"""Reads the events after a number, oldest first: a page of them, empty when there are no more."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one event, and the event's number in its feed."""

    number: int
    body: bytes


class Framing(Protocol):
    """How some members want it on their connections. Compared by identity: members that are alike share one."""

    def wire(self, told: Sequence[Told]) -> bytes:
        """The bytes that are written for these."""


class Batch:
    """Events that are written at one go, to each member once, framed once for all who share a framing."""

    __slots__ = ("_wires", "first", "last", "told")

    def __init__(self, told: Sequence[Told]) -> None:
        self.told = told
        self.first, self.last = told[0].number, told[-1].number
        self._wires: dict[Framing, bytes] = {}

    def after(self, cursor: int) -> Sequence[Told]:
        return self.told if cursor < self.first else self.told[cursor - self.first + 1 :]

    def wire(self, framing: Framing) -> bytes:
        wire = self._wires.get(framing)
        if wire is None:
            wire = self._wires[framing] = framing.wire(self.told)
        return wire


class Member(ABC):
    """Follows a feed. `cursor` is the number of the last event that it was given."""

    __slots__ = ("cursor", "feed")

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.feed: Feed | None = None

    def leave(self) -> None:
        if self.feed is not None:
            self.feed.leave(self)

    @abstractmethod
    async def catch_up(self, told: Told) -> None:
        """Send what came before it joined; waits for a client that reads slowly."""

    @abstractmethod
    def take(self, batch: Batch) -> None:
        """Send what `cursor` says is new, without waiting."""

    @abstractmethod
    def end(self, fault: Exception | None) -> None:
        """There is no more: the stream is at its end, or broke with this fault."""


class Feed:
    """Tells each event of a source, and passes it on to the members. It lives until the last of them has left.

    Events are numbered on from `cursor`: where they are of one request, the numbers are its sequences.
    """

    def __init__(self, source: AsyncGenerator[RequestEvent, None], tell: Tell, calls: Calls, cursor: int = 0) -> None:
        self.cursor = cursor
        self.over = False
        self._tell = tell
        self._calls = calls
        self._fault: Exception | None = None
        self._members: set[Member] = set()
        self._live: dict[Member, None] = {}
        self._waiting: list[Told] = []
        self._passing: asyncio.Task[None] | None = None
        self._rested_at = -math.inf
        self._in_a_row = 0
        self._reading = asyncio.create_task(self._read(source))

    async def join(self, member: Member, read: ReadAfter) -> None:
        """Bring a member from its cursor to where the feed is, and write to it from then on."""
        self._members.add(member)
        member.feed = self
        while member.cursor < self.cursor:
            page = await read(member.cursor)
            if not page:  # the request is deleted
                break
            for event in page:
                await member.catch_up(Told(event.sequence, await self._tell(event)))
                member.cursor = event.sequence
        if self.over or member.cursor < self.cursor:
            member.end(self._fault)
        elif member in self._members:
            self._live[member] = None

    def leave(self, member: Member) -> None:
        self._live.pop(member, None)
        self._members.discard(member)
        if not self._members:
            self.over = True
            self._reading.cancel()
            if self._passing is not None:
                self._passing.cancel()

    async def _read(self, source: AsyncGenerator[RequestEvent, None]) -> None:
        number = self.cursor
        try:
            async with aclosing(source):
                async for event in source:
                    number += 1
                    self._waiting.append(Told(number, await self._tell(event)))
                    if self._passing is None:
                        self._passing = asyncio.create_task(self._pass_on())
                    elif self._is_full():
                        await self._passing
        except Exception as error:
            self._fault = error
        if self._passing is not None:
            await self._passing
        self.over = True
        for member in tuple(self._live):
            member.end(self._fault)

    def _is_full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING or sum(len(told.body) for told in self._waiting) >= MOST_WAITING_BYTES

    async def _pass_on(self) -> None:
        """Write all that waits, and what comes meanwhile, to every member; calls go first."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            left = self._rested_at - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            elif left < -REST_SECONDS:
                self._in_a_row = 0
            batch = Batch(tuple(self._waiting))
            self._in_a_row += len(batch.told)
            self._waiting.clear()
            self.cursor = batch.last
            resumed_at = loop.time()
            until = resumed_at + COURTESY_SECONDS
            writing = rested = 0.0
            for count, member in enumerate(tuple(self._live), start=1):
                if member in self._live:
                    member.take(batch)
                if not count % SLICE:
                    writing += loop.time() - resumed_at
                    await self._calls.give_way(until)
                    if self._in_a_row > IN_A_ROW and not count % STRIDE:
                        rest = min(REST * writing, REST_SECONDS) - rested
                        rested += rest
                        until += rest
                        await asyncio.sleep(rest)
                    resumed_at = loop.time()
            writing += loop.time() - resumed_at
            self._rested_at = loop.time() + min(REST * writing, REST_SECONDS) - rested
        self._passing = None


class Feeds:
    """The feeds of this process that several may follow, by what makes them the same. Kept by their members."""

    def __init__(self) -> None:
        self._feeds: WeakValueDictionary[Hashable, Feed] = WeakValueDictionary()

    def get(self, key: Hashable) -> Feed | None:
        feed = self._feeds.get(key)
        return None if feed is None or feed.over else feed

    def keep(self, key: Hashable, feed: Feed) -> Feed:
        self._feeds[key] = feed
        return feed
