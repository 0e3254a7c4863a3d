"""Running the worker of a process on the process's own event loop, and stopping it without losing a job."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import structlog
from dramatiq import Middleware, Worker
from dramatiq.broker import Broker

from db import workers
from db.queues import IMAGES, JOBS, MODELS
from db.records import new_id
from db.slots import keep_limits
from db.tables import image_generation_jobs, model_generation_jobs
from providers.load import image_provider, model_provider
from tasks.actors import configured, limits, queues
from tasks.attempt import patiently
from tasks.eager import EagerStart
from tasks.resources import Resources, open_resources
from tasks.scratch import remove_left
from tasks.sweeper import sweeping
from tasks.work_queue import WorkQueue
from tasks.worker_context import WorkerContext, current, set_current

WORKER_TIMEOUT_MILLISECONDS = 500
GRACE = 0.75
"""The share of SHUTDOWN_SECONDS that jobs and calls in hand have to finish."""
REST = (1 - GRACE) / 3
"""The share for giving them back, and again for Dramatiq to stop."""
BEAT_SECONDS = 5.0
FORGET_SECONDS = 300.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def working(resources: Resources, names: Iterable[str] = JOBS) -> AsyncIterator[Callable[[], object]]:
    """Do the jobs of the named queues while the block runs; then finish what is in hand, or give it back.

    What it yields begins with the latter before the block ends.
    """
    slots = {name: limits[name] for name in names}
    async with _hosting(resources, slots) as context:
        worker = Worker(queues, queues=set(slots), worker_threads=0, worker_timeout=WORKER_TIMEOUT_MILLISECONDS)
        work_queue = WorkQueue(worker, asyncio.get_running_loop())
        worker.start()

        @cache
        def end() -> asyncio.Task[None]:
            return asyncio.create_task(_end_jobs(work_queue, context))

        try:
            yield end
        finally:
            await asyncio.shield(_stop(worker, end(), context.settings.shutdown_seconds))


@asynccontextmanager
async def _hosting(resources: Resources, slots: dict[str, int]) -> AsyncIterator[WorkerContext]:
    """Have what actors need at hand, on the loop on which they run."""
    context = WorkerContext(resources, image_provider(resources.settings), model_provider(resources.settings))
    most = {image_generation_jobs: context.most_images, model_generation_jobs: context.most_models}
    await patiently(lambda: keep_limits(resources.database, most))
    await remove_left(resources.settings.work_dir)
    beat = asyncio.create_task(_beat(resources, slots))
    set_current(context)
    for name, count in slots.items():
        log.info(f"{name.removesuffix('s')} worker running", slots=count)
    try:
        with resources.create_request.by(EagerStart(context).create_together):
            yield context
    finally:
        set_current(None)
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        await context.images.aclose()
        await context.models.aclose()


async def _stop(worker: Worker, ended: asyncio.Task[None], shutdown_seconds: float) -> None:
    await ended
    # Last, as it puts back what came too late.
    stopped = asyncio.create_task(asyncio.to_thread(worker.stop))
    await asyncio.wait({stopped}, timeout=REST * shutdown_seconds)


async def _end_jobs(work_queue: WorkQueue, context: WorkerContext) -> None:
    """Begin no more jobs, and finish those in hand, or give them back."""
    context.stopping.set()
    context.resources.queues.stop_fetching()
    ended = asyncio.create_task(_ended(work_queue, context))
    done, _ = await asyncio.wait({ended}, timeout=GRACE * context.settings.shutdown_seconds)
    if not done:
        log.info("giving back the jobs that are not finished", jobs=len(context.in_hand))
        for task in tuple(context.in_hand):
            task.cancel()
        await asyncio.wait({ended}, timeout=REST * context.settings.shutdown_seconds)


async def _ended(work_queue: WorkQueue, context: WorkerContext) -> None:
    await work_queue.close()
    await context.places.empty()


async def _beat(resources: Resources, slots: dict[str, int]) -> None:
    """Show that this worker lives, and forget those that do not."""
    worker_id = new_id("wrk")
    try:
        while True:
            try:
                await workers.show(resources.database, worker_id, slots.get(IMAGES, 0), slots.get(MODELS, 0))
                await workers.forget_dead(resources.database, FORGET_SECONDS)
            except Exception as error:  # the database is away; the next beat tries again
                log.warning("the worker could not show itself", error=str(error))
            await asyncio.sleep(BEAT_SECONDS)
    finally:
        with contextlib.suppress(Exception):
            await workers.leave(resources.database, worker_id)


class DramatiqCommand(Middleware):
    """Lets `dramatiq tasks` run the actors as well: it brings the loop that `maquette` has already.

    The loop's thread is a daemon: Dramatiq's own one keeps a worker alive that was told twice to stop.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work_queue: WorkQueue | None = None
        self._stack = contextlib.AsyncExitStack()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002  # the signature is Dramatiq's
        if isinstance(worker.work_queue, WorkQueue):
            return
        self._loop = asyncio.new_event_loop()
        self._work_queue = WorkQueue(worker, self._loop)
        threading.Thread(target=self._loop.run_forever, name="actors", daemon=True).start()
        self._run(self._open())

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002  # the signature is Dramatiq's
        if self._work_queue is not None:
            self._run(_end_jobs(self._work_queue, current()))

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002  # the signature is Dramatiq's
        if self._work_queue is not None:
            self._run(self._stack.aclose())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _open(self) -> None:
        resources = await self._stack.enter_async_context(open_resources(configured, queues, listen=False))
        await self._stack.enter_async_context(sweeping(resources))
        await self._stack.enter_async_context(_hosting(resources, limits))


queues.add_middleware(DramatiqCommand())
