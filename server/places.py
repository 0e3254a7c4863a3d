"""How much of something each user may have open at once, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Full(Exception):
    """The user has as many open as are allowed. The message says how many those are."""


class Places:
    """Counts what each user has open. A limit of 0 is none."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._taken: Counter[str] = Counter()

    def check(self, user_id: str) -> None:
        """See that the user may have one more; raises `Full`."""
        if self._limit and self._taken[user_id] >= self._limit:
            raise Full(f"You have {self._limit} {self._what} open, and no more are allowed. Close some.")

    @contextmanager
    def taken(self, user_id: str) -> Iterator[None]:
        """One more, checked or not, for as long as the context lasts."""
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
