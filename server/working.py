"""`maquette worker`: a worker alone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from pathlib import Path

import structlog
import uvloop

from db.queues import JOBS
from server.database import prepare_database
from server.logs import configure
from server.signals import NUMBERS, be_out_within
from settings import SettingsError
from tasks.actors import configured, queues
from tasks.resources import open_resources
from tasks.sweeper import sweeping
from tasks.worker import working

NICENESS = 15
"""How far the worker stands back: where an API shares the machine, people wait for the API."""

log = structlog.get_logger(__name__)


def work(names: tuple[str, ...]) -> int:
    """Work on the named queues until told to stop; returns the exit code. Raises `SettingsError`."""
    if configured.redis_url is None:
        raise SettingsError("REDIS_URL: is not set; without it `maquette serve` does the jobs itself")
    if not names or not set(names) <= set(JOBS):
        raise SettingsError(f"--queues: must be one or both of {','.join(JOBS)}")
    configure(configured)
    _stand_back()
    # Told to stop while it starts, it is cancelled: there is nothing to be given back.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(_work(names))
    return 0


def _stand_back() -> None:
    os.nice(NICENESS)
    # Linux weighs sessions against each other, and the processes of one by their niceness (sched(7), autogroup).
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS))


async def _work(names: tuple[str, ...]) -> None:
    loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()
    assert task is not None
    for number in NUMBERS:
        loop.add_signal_handler(number, task.cancel)
    async with open_resources(configured, queues, listen=False) as resources:
        await prepare_database(resources.database, configured)
        for number in NUMBERS:
            loop.add_signal_handler(number, stop.set)
        async with sweeping(resources), working(resources, names):
            # What is there by now stays: collecting garbage need not look at it again and again.
            gc.collect()
            gc.freeze()
            await stop.wait()
            log.info("stopping")
            be_out_within(configured.shutdown_seconds)
