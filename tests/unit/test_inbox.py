"""The inbox of a WebSocket: all that came is received, in order, whichever receiver was given up before."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from server.upgraded import Inbox

STEPS = st.sampled_from(["put", "get", "turn", "give up"])


@given(steps=st.lists(STEPS, max_size=40))
async def test_what_came_is_received_in_order(steps: list[str]):
    inbox, put, got = Inbox(), 0, []
    getting: asyncio.Task | None = None
    for step in steps:
        if step == "put":
            inbox.put_nowait({"number": put})
            put += 1
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "get" and getting is None:
            getting = asyncio.create_task(inbox.get())
        elif step == "give up" and getting is not None:
            getting.cancel()
            await asyncio.wait({getting})
        if getting is not None and getting.done():
            got += [] if getting.cancelled() else [getting.result()["number"]]
            getting = None
    if getting is None:
        getting = asyncio.create_task(inbox.get())
    inbox.put_nowait({"number": put})
    async with asyncio.timeout(5):
        got.append((await getting)["number"])
        while not inbox.empty():
            got.append((await inbox.get())["number"])
    assert got == list(range(put + 1))
