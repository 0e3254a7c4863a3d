"""`maquette worker`: a worker alone."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import structlog
import uvloop

from server.database import prepare_database
from server.logs import configure
from settings import SettingsError
from tasks.actors import configured, queues
from tasks.broker import QUEUES
from tasks.resources import open_resources
from tasks.sweeper import sweeping
from tasks.worker import working

NICENESS = 5
"""How far the worker stands back: where an API shares the machine, people wait for the API."""

log = structlog.get_logger(__name__)


def work(names: tuple[str, ...]) -> int:
    """Work on the named queues until told to stop; returns the exit code. Raises `SettingsError`."""
    if configured.redis_url is None:
        raise SettingsError("REDIS_URL: is not set; without it `maquette serve` does the jobs itself")
    if not names or not set(names) <= set(QUEUES):
        raise SettingsError(f"--queues: must be one or both of {','.join(QUEUES)}")
    configure(configured)
    os.nice(NICENESS)
    # While the database is waited for, there is nothing to be given back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(names))
    return 0


async def _work(names: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    async with open_resources(configured, queues, listen=False) as resources:
        await prepare_database(resources.database, configured)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with sweeping(resources), working(resources, names):
            # What is there by now stays: collecting garbage need not look at it again and again.
            gc.collect()
            gc.freeze()
            await stop.wait()
            log.info("stopping")
