"""What a worker has at hand for its jobs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property, partial

from db import images
from db.group_commit import GroupCommit
from db.images import Drawn, ImageClaim
from db.jobs import Terms
from db.session import Database
from providers.protocol import ImageProvider, ModelProvider
from settings import Settings
from storage import Storage
from tasks.places import Places
from tasks.resources import Resources

BEGUN_PER_PLACE = 3
"""For each picture that is being drawn, two may be on their way to the storage."""
GATHERING_SECONDS = 0.003
PATIENCE_SECONDS = 0.1
"""Images of one request are drawn by several workers: none has its lock for longer than a transaction takes."""


@dataclass(frozen=True)
class WorkerContext:
    """`in_hand` are the running attempts; `stopping` is set when no more are to be begun."""

    resources: Resources
    images: ImageProvider
    models: ModelProvider
    in_hand: set[asyncio.Task[object]] = field(default_factory=set)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def settings(self) -> Settings:
        return self.resources.settings

    @property
    def database(self) -> Database:
        return self.resources.database

    @property
    def most_images(self) -> int | None:
        """How many image jobs the provider's account may have at once, over all workers; None for any number."""
        return getattr(self.images, "max_concurrent", None)

    @property
    def most_models(self) -> int | None:
        """The same of model jobs."""
        return getattr(self.models, "max_concurrent", None)

    @property
    def image_terms(self) -> Terms:
        return Terms(self.settings.lease_seconds, self.settings.image_timeout_seconds)

    @property
    def model_terms(self) -> Terms:
        return Terms(self.settings.lease_seconds, self.settings.model_timeout_seconds)

    @cached_property
    def write_image(self) -> GroupCommit[str | Drawn, ImageClaim | None]:
        """Claims an image job by its id, or completes an image."""

        async def alone(item: str | Drawn) -> ImageClaim | None:
            if isinstance(item, str):
                return await images.claim(self.database, item, self.image_terms)
            await images.complete(self.database, item)
            return None

        return GroupCommit(
            partial(images.write_together, self.database, self.image_terms),
            alone,
            gathering=GATHERING_SECONDS,
            patience=PATIENCE_SECONDS,
        )

    @cached_property
    def places(self) -> Places:
        """Where images are drawn."""
        return Places(self.settings.image_concurrency, BEGUN_PER_PLACE * self.settings.image_concurrency)

    @property
    def storage(self) -> Storage:
        return self.resources.storage


_current: WorkerContext | None = None


def current() -> WorkerContext:
    """The context of this process's worker: Dramatiq has one worker a process, and calls actors with a message only."""
    if _current is None:
        raise RuntimeError("no worker runs in this process")
    return _current


def set_current(context: WorkerContext | None) -> None:
    global _current  # noqa: PLW0603  # see `current`
    _current = context
