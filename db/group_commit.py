"""Group commit: what several callers write at the same time shares a transaction."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

Item = TypeVar("Item")
Result = TypeVar("Result")

LIMIT = 32
"""The most items of one transaction."""

QUIET_SECONDS = 0.05
"""Nothing more is waited for before a transaction where there has been none for so long."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    shared: asyncio.Future[tuple[Result] | None]
    patient_until: float


class GroupCommit(Generic[Item, Result]):
    """Gathers what comes while a transaction is under way, and writes it all in the next one.

    `together` writes items and returns their results by position. What it leaves out, as it would have to wait for
    somebody's lock, goes with the next transactions for `patience` seconds, and is then written `alone`, as is
    everything where `together` fails: so no item waits for the lock of another, and none fails for the fault of
    another. Where it is not quiet, `gathering` seconds are waited for company. Belongs to one event loop.
    """

    def __init__(
        self,
        together: Callable[[Sequence[Item]], Awaitable[Mapping[int, Result]]],
        alone: Callable[[Item], Awaitable[Result]],
        *,
        gathering: float,
        patience: float = 0.0,
    ) -> None:
        self._together = together
        self._alone = alone
        self._gathering = gathering
        self._patience = patience
        self._waiting: list[_Waiting[Item, Result]] = []
        self._writing: asyncio.Task[None] | None = None
        self._ended_at = -math.inf

    async def __call__(self, item: Item) -> Result:
        """Write an item; raises what `alone` raises. Who is cancelled once it is being written may have
        written all the same.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, loop.create_future(), loop.time() + self._patience)
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        written = await waiting.shared
        return await self._alone(item) if written is None else written[0]

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                if loop.time() - self._ended_at < QUIET_SECONDS:
                    await asyncio.sleep(self._gathering)
                # Who was cancelled while it waited is not written.
                waiting = [one for one in self._waiting if not one.shared.done()]
                batch, self._waiting = waiting[:LIMIT], waiting[LIMIT:]
                if not batch:
                    return
                patient_at = math.inf
                results: Mapping[int, Result] = {}
                try:
                    results = await self._together([one.item for one in batch])
                    patient_at = loop.time()
                except Exception as error:  # whoever it concerns will meet it alone
                    log.info("a shared transaction failed; its items are written alone", error=repr(error))
                finally:
                    # Also when this process stops: whoever waits goes on alone.
                    for position, one in enumerate(batch):
                        if one.shared.done():
                            continue
                        if position in results:
                            one.shared.set_result((results[position],))
                        elif patient_at < one.patient_until:
                            self._waiting.append(one)
                        else:
                            one.shared.set_result(None)
                self._ended_at = loop.time()
        finally:
            self._writing = None
