"""Topics within one process: who follows what, with a bounded queue for each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from events.types import RequestEvent

QUEUE_LIMIT = 512
"""What may wait for one subscriber. What there is no room for is missed; the rows have it."""


class Head(NamedTuple):
    """A request's newest event: its sequence, and when it occurred."""

    sequence: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Heads:
    """The newest events of some requests, as the rows have them: whoever is behind has missed a broadcast."""

    of: Mapping[str, Head]


@dataclass(frozen=True, slots=True)
class End:
    """The stream is over: its request is deleted, or the process shuts down."""


Signal = RequestEvent | Heads | End


class Subscription:
    """What waits for one subscriber."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Signal] = asyncio.Queue(QUEUE_LIMIT)

    async def get(self) -> Signal:
        return await self._queue.get()

    def offer(self, signal: Signal) -> None:
        if self._queue.full():
            if not isinstance(signal, End):
                return
            self._queue.get_nowait()
        self._queue.put_nowait(signal)


class Hub:
    """Hands each event on to those who follow its request or its user. Belongs to one event loop."""

    def __init__(self) -> None:
        self._requests: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._users: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._closed = False

    @property
    def request_ids(self) -> list[str]:
        """The requests that somebody follows."""
        return list(self._requests)

    @property
    def user_ids(self) -> list[str]:
        """The users whose requests somebody follows all at once."""
        return list(self._users)

    def follow_request(self, request_id: str) -> AbstractContextManager[Subscription]:
        return self._member(self._requests, request_id)

    def follow_user(self, user_id: str) -> AbstractContextManager[Subscription]:
        return self._member(self._users, user_id)

    @contextmanager
    def _member(self, topics: defaultdict[str, set[Subscription]], topic: str) -> Iterator[Subscription]:
        subscription = Subscription()
        if self._closed:
            subscription.offer(End())
        topics[topic].add(subscription)
        try:
            yield subscription
        finally:
            topics[topic].discard(subscription)
            if not topics[topic]:
                del topics[topic]

    def publish(self, event: RequestEvent) -> None:
        for subscription in self._of(self._requests, event.request_id):
            subscription.offer(event)
        for subscription in self._of(self._users, event.user_id):
            subscription.offer(event)

    def show_request_heads(self, heads: Mapping[str, Head]) -> None:
        """Tell the followers of each request how far its rows are."""
        for request_id, head in heads.items():
            for subscription in self._of(self._requests, request_id):
                subscription.offer(Heads({request_id: head}))

    def show_user_heads(self, user_id: str, heads: Mapping[str, Head]) -> None:
        for subscription in self._of(self._users, user_id):
            subscription.offer(Heads(heads))

    def end_request(self, request_id: str) -> None:
        """The request is deleted: its streams end."""
        for subscription in self._of(self._requests, request_id):
            subscription.offer(End())

    def close(self) -> None:
        """End every stream, now and from now on: the process shuts down."""
        self._closed = True
        for topics in (self._requests, self._users):
            for subscriptions in topics.values():
                for subscription in subscriptions:
                    subscription.offer(End())

    @staticmethod
    def _of(topics: defaultdict[str, set[Subscription]], topic: str) -> tuple[Subscription, ...]:
        return tuple(topics.get(topic, ()))
