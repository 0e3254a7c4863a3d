from __future__ import annotations

import asyncio
import os
import signal

import pytest

from server.signals import on_stop


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_to_be_done_at_a_signal_waits_for_the_end_of_the_streams(fails: bool) -> None:
    done: list[str] = []
    stopped = asyncio.Event()

    def stop(*_: object) -> None:
        done.append("stopped")
        stopped.set()

    async def end() -> None:
        done.append("ending")
        await asyncio.sleep(0)
        done.append("ended")
        if fails:
            raise OSError

    original = signal.signal(signal.SIGTERM, stop)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    try:
        with on_stop(end):
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(5):
                await stopped.wait()
        assert done == ["ending", "ended", "stopped"]
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, original)
