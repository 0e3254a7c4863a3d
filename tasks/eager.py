"""Eager start: the process that creates a request begins its images, where its worker has room for all of them.

They are claimed in the transaction that creates them: no message travels, and no second transaction is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from db import creation
from db.creation import Claiming, Created, NewRequest
from db.images import ImageClaim
from db.queues import IMAGES
from tasks import images
from tasks.actors import generate_image
from tasks.places import Leave
from tasks.worker_context import WorkerContext

PAUSE_SECONDS = 0.002
"""Before the work begins: the answer to the call, and the event, are to be written first."""


class EagerStart:
    """Creates requests for the worker of this process (see `Creating.by`)."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._queues = context.resources.queues

    async def create_together(self, news: Sequence[NewRequest]) -> Mapping[int, Created]:
        context, settings = self._context, self._context.settings
        taken = await self._take_places(news)
        claiming = Claiming(taken, context.image_terms)
        try:
            created, claims = await creation.create_together(
                context.database, news, settings.max_active_requests, settings.max_attempts, claiming
            )
            for claim in claims:
                self._begin(claim)
                taken -= 1
        finally:
            if taken:
                context.places.give_back(taken)
                self._queues.let_go(IMAGES, taken)
        return created

    async def _take_places(self, news: Sequence[NewRequest]) -> int:
        """Take places for as many of the requests as there is room for; returns how many places."""
        # Where the account has a limit, each job waits for its turn.
        if self._context.most_images is not None or self._context.stopping.is_set():
            return 0
        taken = 0
        for new in news:
            if not await self._context.places.take(len(new.variants)):
                break
            taken += len(new.variants)
        self._queues.hold(IMAGES, taken)
        return taken

    def _begin(self, claim: ImageClaim) -> None:
        async def job(leave: Leave) -> None:
            await asyncio.sleep(PAUSE_SECONDS)
            with ExitStack() as place:
                place.callback(self._queues.let_go, IMAGES, 1)
                place.callback(leave)
                message = generate_image.message(claim.lease.job_id)
                await images.carry_out(self._context, claim, message, place.close)

        self._context.places.start(job)
