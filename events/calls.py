"""The calls that are being answered, for which those who write to many step aside."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.02
"""A call that takes longer waits for something else than for this process."""


class Calls:
    """Knows the newest query or mutation of this process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._begun_at = -math.inf
        self._newest_ended = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        self._begun_at = asyncio.get_running_loop().time()
        self._newest_ended = ended = asyncio.Event()
        try:
            yield
        finally:
            ended.set()

    async def give_way(self, until: float) -> None:
        """Let others have their turn, and the newest call end while it is young, until a time of the loop at most."""
        await asyncio.sleep(0)
        until = min(until, self._begun_at + PATIENCE_SECONDS)
        if not self._newest_ended.is_set() and asyncio.get_running_loop().time() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._newest_ended.wait()
