from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from dramatiq import Message

from tasks.broker import QueueUnavailable, Send
from tasks.sender import LIMIT, Sender
from tests.waiting import until


def message(number: int) -> Message[None]:
    return Message(queue_name="images", actor_name="generate_image", args=(f"job_{number}",), kwargs={}, options={})


class SlowQueues:
    """Queues that are asked to send, and answer when they are told."""

    def __init__(self, *errors: Exception) -> None:
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()
        self.errors = list(errors)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Send]:
        yield self._send

    async def _send(self, messages: Sequence[Message[None]]) -> None:
        self.batches.append([sent.args[0] for sent in messages])
        async with asyncio.timeout(10):
            await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)


async def test_what_gathers_meanwhile_is_sent_at_once_and_nobody_waits():
    queues = SlowQueues()
    sender = Sender(queues)  # type: ignore[arg-type]
    async with sender.running():
        sender.send([message(0)])
        await until(lambda: queues.batches)
        for number in range(1, LIMIT + 3):
            sender.send([message(number)])
        queues.go.set()
    sizes = [len(batch) for batch in queues.batches]
    assert sizes == [1, LIMIT, 2], "all is sent before the end, in order"
    assert [job for batch in queues.batches for job in batch] == [f"job_{number}" for number in range(LIMIT + 3)]


@pytest.mark.parametrize("error", [QueueUnavailable("away"), ValueError("whatever")])
async def test_a_failure_does_not_stop_the_sender(error: Exception):
    queues = SlowQueues(error)
    queues.go.set()
    sender = Sender(queues)  # type: ignore[arg-type]
    async with sender.running():
        sender.send([message(1)])
        await until(lambda: queues.batches)
        sender.send([message(2)])
        await until(lambda: len(queues.batches) == 2)


async def test_sending_later_is_sending_later():
    queues = SlowQueues()
    queues.go.set()
    sender = Sender(queues)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    async with sender.running():
        began = loop.time()
        sender.send_later(0.05, message(1))
        await until(lambda: queues.batches)
        assert loop.time() - began >= 0.045
