from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from queue import Empty

import dramatiq
import pytest
from dramatiq import Middleware, Worker
from structlog.testing import capture_logs

from db.queues import IMAGES
from tasks.broker import MemoryQueues
from tasks.work_queue import WorkQueue
from tests.waiting import until

LIMIT = 2


class Work:
    """An actor on queues of its own. It ends when `go` is set, or fails."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.queues = MemoryQueues({IMAGES: LIMIT})
        self.actor = dramatiq.actor(self._do, actor_name="draw", broker=self.queues, queue_name=IMAGES)

    async def _do(self, job_id: str) -> None:
        self.begun.append(job_id)
        self.threads.add(threading.current_thread())
        if job_id == "bad":
            raise RuntimeError("an actor that fails")
        await self.go.wait()

    async def send(self, *job_ids: str) -> None:
        async with self.queues.sending() as send:
            await send([self.actor.message(job_id) for job_id in job_ids])

    @property
    def unfinished(self) -> int:
        return self.queues.queues[IMAGES].unfinished_tasks

    @asynccontextmanager
    async def working(self) -> AsyncIterator[WorkQueue]:
        worker = Worker(self.queues, worker_threads=0, worker_timeout=50)
        work_queue = WorkQueue(worker, asyncio.get_running_loop())
        worker.start()
        try:
            yield work_queue
        finally:
            await asyncio.to_thread(worker.stop)


async def test_messages_are_worked_on_by_the_loop_and_no_more_at_once_than_allowed():
    work = Work()
    async with work.working():
        await work.send("a", "b", "c")
        await until(lambda: len(work.begun) == LIMIT)
        assert (work.unfinished, work.threads) == (3, {threading.current_thread()})
        work.go.set()
        await until(lambda: not work.unfinished)
    assert sorted(work.begun) == ["a", "b", "c"]


async def test_a_message_that_fails_is_done_with_and_the_next_one_has_its_turn():
    work = Work()
    work.go.set()
    with capture_logs() as logs:
        async with work.working():
            await work.send("bad", "bad", "bad", "good")
            await until(lambda: not work.unfinished)
    assert work.begun == ["bad", "bad", "bad", "good"]
    assert [entry["log_level"] for entry in logs if entry.get("exc_info")] == ["error"] * 3


async def test_dramatiqs_middleware_sees_what_is_processed():
    class Watching(Middleware):
        def __init__(self) -> None:
            self.seen: list[str | None] = []

        def before_process_message(self, broker, message):
            self.seen.append(message.args[0])

        def after_process_message(self, broker, message, *, result=None, exception=None):
            self.seen.append(exception and str(exception))

    work, watching = Work(), Watching()
    work.go.set()
    work.queues.add_middleware(watching)
    async with work.working():
        for job_id in ("good", "bad"):
            await work.send(job_id)
            await until(lambda: not work.unfinished)
    assert watching.seen == ["good", None, "bad", "an actor that fails"]


async def test_what_has_begun_is_waited_for_and_nothing_more_begins():
    work = Work()
    async with work.working() as work_queue:
        await work.send("begun")
        await until(lambda: work.begun)
        closing = asyncio.create_task(work_queue.close())
        await asyncio.sleep(0)
        await work.send("late")
        await until(lambda: work_queue._left)
        assert (work.unfinished, closing.done()) == (2, False)
        work.go.set()
        await closing
        assert work_queue.get_nowait().message.args == ("late",), "to be put back by Dramatiq"
        with pytest.raises(Empty):
            work_queue.get_nowait()
    assert work.begun == ["begun"]
