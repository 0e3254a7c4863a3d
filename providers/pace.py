"""Keeping calls apart in time."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """At most `per_second` calls a second of each name, evenly spread, in the order of asking."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next: dict[str, float] = {}

    async def wait(self, name: str) -> None:
        """Return when it is the caller's turn."""
        now = time.monotonic()
        turn = max(now, self._next.get(name, now))
        self._next[name] = turn + self._interval
        if turn > now:
            await asyncio.sleep(turn - now)
