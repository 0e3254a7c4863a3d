"""Between Dramatiq's consumers and the actors: messages go straight to the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from inspect import unwrap
from queue import Empty
from typing import Any

import structlog
from dramatiq import Worker
from dramatiq.broker import MessageProxy

log = structlog.get_logger(__name__)


class WorkQueue:
    """Begins each message of a worker on a loop, where Dramatiq has a thread wait for each coroutine.

    To be made before the worker starts. The consumers bound how many messages are in hand.
    """

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._worker = worker
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: deque[Any] = deque()
        self._closed = False
        worker.work_queue = self  # type: ignore[assignment]  # it has what Dramatiq asks of it

    def put(self, item: Any) -> None:
        """Begin a message; called by the consumers' threads."""
        self._loop.call_soon_threadsafe(self._begin, item)

    def get(self, timeout: float) -> Any:
        """Nothing, for the threads that `dramatiq tasks` starts all the same."""
        time.sleep(timeout)
        raise Empty

    def get_nowait(self) -> Any:
        """A message that came too late to be begun: Dramatiq puts it back when the worker stops."""
        if not self._left:
            raise Empty
        return self._left.popleft()

    async def close(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, item: Any) -> None:
        if self._closed:
            self._left.append(item)
            return
        task = self._loop.create_task(self._process(item.message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, message: MessageProxy) -> None:
        broker = self._worker.broker
        try:
            broker.emit_before("process_message", message)
            # Dramatiq has made an actor of it that waits for the coroutine in a thread.
            await unwrap(broker.get_actor(message.actor_name).fn)(*message.args, **message.kwargs)
            broker.emit_after("process_message", message)
        except Exception as error:
            log.exception("a message was not worked on; the sweeper sends its job again")
            broker.emit_after("process_message", message, exception=error)
        finally:
            self._worker.consumers[message.queue_name].post_process_message(message)
