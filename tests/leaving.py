"""Leaving what goes on, at whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

TURNS = 20


async def assert_it_ends(begun: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """Enter what `begun` gives, and leave it by an exception after each number of turns of the loop."""

    async def leave_after(turns: int) -> None:
        async with begun():
            for _ in range(turns):
                await asyncio.sleep(0)
            raise RuntimeError("left")

    for turns in range(TURNS):
        leaving = asyncio.create_task(leave_after(turns))
        done, _ = await asyncio.wait([leaving], timeout=5)
        leaving.cancel()
        assert done, f"it hangs where it is left after {turns} turns of the loop"
        assert isinstance(leaving.exception(), RuntimeError)
