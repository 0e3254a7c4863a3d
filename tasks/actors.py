"""The two actors: thin shells that run a job in the worker of this process."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq import Actor, Message

import settings
from db.queues import IMAGES, MODELS
from tasks import images, models
from tasks.broker import open_queues
from tasks.worker_context import current

configured = settings.load()
limits = {IMAGES: configured.image_concurrency, MODELS: configured.model_concurrency}
queues = open_queues(configured.redis_url.get_secret_value() if configured.redis_url else None, limits)
dramatiq.set_broker(queues)


class JobActor(Actor[[str], Any]):
    """Does a job."""

    def message(self, job_id: str) -> Message[Any]:
        """A message whose id is the job's: Dramatiq would draw a random one for each."""
        return Message(self.queue_name, self.actor_name, (job_id,), {}, {}, job_id)


@dramatiq.actor(actor_class=JobActor, broker=queues, queue_name=IMAGES)
async def generate_image(job_id: str) -> None:
    context, message = current(), generate_image.message(job_id)
    await context.places.begin(lambda leave: images.generate(context, job_id, message, leave))


@dramatiq.actor(actor_class=JobActor, broker=queues, queue_name=MODELS)
async def generate_model(job_id: str) -> None:
    await models.generate(current(), job_id, generate_model.message(job_id))
