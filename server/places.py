"""How much of something each user may have open at once, in this process."""

from __future__ import annotations

from collections import Counter


class Full(Exception):
    """The user has as many open as are allowed. The message says how many those are."""


class Places:
    """Counts what each user has open. A limit of 0 is none."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._taken: Counter[str] = Counter()

    @property
    def all_taken(self) -> int:
        """How much all users together have open."""
        return self._taken.total()

    def take(self, user_id: str) -> Place:
        """One more, until it is given back; raises `Full`."""
        if self._limit and self._taken[user_id] >= self._limit:
            raise Full(f"Too many {self._what} are open ({self._limit} may be). Close some.")
        self._taken[user_id] += 1
        return Place(self, user_id)

    def give_back(self, user_id: str) -> None:
        self._taken[user_id] -= 1
        if not self._taken[user_id]:
            del self._taken[user_id]


class Place:
    """One that a user has open. Giving it back once more does nothing."""

    __slots__ = ("_places", "_user_id")

    def __init__(self, places: Places, user_id: str) -> None:
        self._places: Places | None = places
        self._user_id = user_id

    def give_back(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.give_back(self._user_id)
