from __future__ import annotations

import asyncio
import time

from providers.pace import Pace


async def test_calls_of_a_name_are_spread_and_names_do_not_wait_for_each_other():
    pace, turns = Pace(100), []

    async def call(name):
        await pace.wait(name)
        turns.append((name, time.monotonic()))

    await asyncio.gather(*(call(name) for _ in range(11) for name in ("a", "b")))
    for name in ("a", "b"):
        times = sorted(when for who, when in turns if who == name)
        assert times[-1] - times[0] >= 0.099
    assert max(when for _, when in turns) - min(when for _, when in turns) < 0.19


async def test_a_first_call_does_not_wait():
    async with asyncio.timeout(0.5):
        await Pace(0.1).wait("a")
