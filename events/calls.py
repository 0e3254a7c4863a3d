"""The calls that are being answered, before which those who write to many step back."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.02
"""A call that takes longer waits for something else than for this process."""


class Calls:
    """Queries and mutations under way in this process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._begun_at = -math.inf
        self._none = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        self._count += 1
        self._begun_at = asyncio.get_running_loop().time()
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._none.set()

    async def go_first(self, until: float) -> None:
        """Let others have their turn, and wait for calls that are young, until a time of the loop at most."""
        await asyncio.sleep(0)
        until = min(until, self._begun_at + PATIENCE_SECONDS)
        if self._count and asyncio.get_running_loop().time() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._none.wait()
