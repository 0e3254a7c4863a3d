from __future__ import annotations

import asyncio
import time

from providers.pace import Pace


async def test_calls_of_a_name_are_spread():
    pace, turns = Pace(100), []

    async def call():
        await pace.wait("a")
        turns.append(time.monotonic())

    await asyncio.gather(*(call() for _ in range(11)))
    assert max(turns) - min(turns) >= 0.099


async def test_a_first_call_does_not_wait_and_names_do_not_wait_for_each_other():
    pace = Pace(0.001)
    async with asyncio.timeout(5):
        await pace.wait("a")
        waiting = asyncio.create_task(pace.wait("a"))
        await asyncio.sleep(0)
        await pace.wait("b")
    assert not waiting.done()
    waiting.cancel()
