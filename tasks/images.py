"""Drawing an image: claim, ask the provider, or submit once and poll, check, store, complete."""

from __future__ import annotations

import asyncio

from dramatiq import Message

from db import images
from db.images import Drawn, ImageClaim
from events.outcome import FailureCode
from providers.protocol import ImageJobs, ImageResult, ProviderError
from tasks.attempt import attempt, discard, patiently, write_down
from tasks.files import store
from tasks.pictures import EXTENSIONS, check_picture
from tasks.places import Leave
from tasks.results import fetch_image
from tasks.submit import Asked, Polls, check_not_lost, submit_once
from tasks.worker_context import WorkerContext

FIRST_PAUSE_SECONDS, LONGEST_POLL_PAUSE_SECONDS, PAUSE_GROWTH = 0.5, 5.0, 1.5
ASKED = Asked("image provider", "a picture", "Retry the image")


async def generate(context: WorkerContext, job_id: str, message: Message[None], drawn: Leave) -> None:
    """Do an image job, if it is to be done and nobody else has it. `message` is what sends it again.

    Calls `drawn` when the provider has given the picture, which is then still to be kept.

    Where the account has a limit, that is the job whose turn it is, and `message` calls for the next one.
    """
    if context.stopping.is_set():  # it waited for its place; the sweeper sends it again
        return
    most = context.most_images
    # With its message in hand: else the whole queue would be fetched and dropped while the database is away.
    claim = await patiently(
        lambda: (
            context.write_image(job_id)
            if most is None
            else images.claim(context.database, job_id, context.image_terms, most)
        ),
        context.stopping,
    )
    if claim is not None:
        await carry_out(context, claim, message, drawn)


async def carry_out(context: WorkerContext, claim: ImageClaim, message: Message[None], drawn: Leave) -> None:
    """Do an image job that is claimed."""
    done = await attempt(
        context,
        claim.lease,
        lambda deadline: _draw(context, claim, deadline, drawn),
        lambda failure: images.fail(context.database, claim, failure),
        message,
    )
    if context.most_images is not None:
        context.resources.sender.send([message])
    if not done:
        await discard(context, claim.lease.prefix, lambda: images.is_kept(context.database, claim))


async def _draw(context: WorkerContext, claim: ImageClaim, deadline: asyncio.Timeout, drawn: Leave) -> None:
    result = await _result(context, claim, deadline)
    if result.content is not None:
        content = result.content
    elif result.url is not None:
        content = await fetch_image(context.settings, context.images, result.url)
    else:
        raise ProviderError(FailureCode.BAD_OUTPUT, "The image provider gave neither a picture nor a link.", True)
    drawn()
    kind = await asyncio.to_thread(check_picture, content)
    key = f"{claim.lease.prefix}.{EXTENSIONS[kind]}"
    await store(context.resources, key, content, kind)

    async def complete() -> None:
        await context.write_image(Drawn(claim, key))

    await write_down(deadline, complete)


async def _result(context: WorkerContext, claim: ImageClaim, deadline: asyncio.Timeout) -> ImageResult:
    provider = context.images
    if not isinstance(provider, ImageJobs):
        return await provider.generate(claim.prompt, claim.index)
    job_id = claim.provider_job_id or await _submit(context, claim, deadline, provider)
    return await _poll(context, claim, provider, job_id)


async def _submit(context: WorkerContext, claim: ImageClaim, deadline: asyncio.Timeout, provider: ImageJobs) -> str:
    check_not_lost(claim.submit_begun, provider, ASKED)
    return await submit_once(context, claim.lease, deadline, lambda: provider.submit(claim.prompt, claim.index), ASKED)


async def _poll(context: WorkerContext, claim: ImageClaim, provider: ImageJobs, job_id: str) -> ImageResult:
    """Ask after the job until its picture is there, or the attempt's time is up; the next attempt asks on."""
    polls = Polls(context, claim.lease, FIRST_PAUSE_SECONDS, LONGEST_POLL_PAUSE_SECONDS, PAUSE_GROWTH)
    while True:
        await polls.wait()
        try:
            result = await provider.poll(job_id)
        except ProviderError as error:
            await polls.failed(error)
        else:
            polls.answered()
            if result is not None:
                return result
