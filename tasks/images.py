"""Drawing an image: claim, ask the provider, check, store, complete."""

from __future__ import annotations

import asyncio

from dramatiq import Message

from db import images
from db.images import Drawn, ImageClaim
from events.outcome import FailureCode
from providers.protocol import ProviderError
from tasks.attempt import attempt, discard, patiently
from tasks.pictures import EXTENSIONS, check_picture
from tasks.results import fetch_image
from tasks.worker_context import WorkerContext


async def generate(context: WorkerContext, job_id: str, message: Message[None]) -> None:
    """Do an image job, if it is to be done and nobody else has it. `message` is what sends it again.

    Where the account has a limit, that is the job whose turn it is, and `message` calls for the next one.
    """
    settings, most, seconds = context.settings, context.most_images, context.settings.image_timeout_seconds
    # With its message in hand: else the whole queue would be fetched and dropped while the database is away.
    claim = await patiently(
        lambda: (
            context.write_image(job_id)
            if most is None
            else images.claim(context.database, job_id, settings.lease_seconds, seconds, most)
        ),
        context.stopping,
    )
    if claim is None:
        return
    done = await attempt(
        context,
        claim.lease,
        lambda: _draw(context, claim),
        lambda failure: images.fail(context.database, claim, failure),
        message,
    )
    if most is not None:
        context.resources.sender.send([message])
    if not done:
        await discard(context, claim.lease.folder, lambda: images.is_kept(context.database, claim))


async def _draw(context: WorkerContext, claim: ImageClaim) -> None:
    result = await context.images.generate(claim.prompt, claim.index)
    if result.content is not None:
        content = result.content
    elif result.url is not None:
        content = await fetch_image(context.settings, context.images, result.url)
    else:
        raise ProviderError(FailureCode.BAD_OUTPUT, "The image provider gave neither a picture nor a link.", True)
    kind = await asyncio.to_thread(check_picture, content)
    key = f"{claim.lease.folder}image.{EXTENSIONS[kind]}"
    await context.storage.put(key, content, kind)

    async def complete() -> None:
        await context.write_image(Drawn(claim, key))

    await patiently(complete)
