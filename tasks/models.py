"""Making a model: claim, submit once, poll, download, prepare for print, store, complete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from dramatiq import Message

from db import models
from db.models import ModelClaim
from db.records import ModelFile
from events.outcome import FailureCode, ModelFormat
from events.status import ModelStage
from providers.media import HEAD_BYTES, PICTURE_LIMIT_BYTES, media_type
from providers.printing import Prepared, prepare
from providers.protocol import ModelPoll, PollState, ProviderError, ProviderFile, SourceImage
from storage import NotStored
from tasks.attempt import attempt, discard, patiently, write_down
from tasks.files import store
from tasks.pictures import EXTENSIONS, check_picture
from tasks.progress import Progress
from tasks.results import fetch_model, fetch_preview
from tasks.scratch import scratch
from tasks.submit import Asked, Polls, check_not_lost, submit_once
from tasks.worker_context import WorkerContext

FIRST_PAUSE_SECONDS = 0.2
PAUSE_GROWTH = 1.4
ASKED = Asked("model provider", "a model", "Select the image again")
PREFERENCE = ("GLB", "OBJ", "ZIP", "STL", "3MF", "PLY")
CONTENT_TYPES = {
    ModelFormat.GLB: "model/gltf-binary",
    ModelFormat.OBJ: "model/obj",
    ModelFormat.STL: "model/stl",
    ModelFormat.THREE_MF: "model/3mf",
}

log = structlog.get_logger(__name__)


async def generate(context: WorkerContext, job_id: str, message: Message[None]) -> None:
    """Do a model job, if it is to be done and nobody else has it. `message` is what sends it again.

    Where the account has a limit, that is the job whose turn it is, and `message` calls for the next one.
    """
    most = context.most_models
    # With its message in hand: else the whole queue would be fetched and dropped while the database is away.
    claim = await patiently(lambda: models.claim(context.database, job_id, context.model_terms, most), context.stopping)
    if claim is None:
        return
    done = await attempt(
        context,
        claim.lease,
        lambda deadline: _make(context, claim, deadline),
        lambda failure: models.fail(context.database, claim, failure),
        message,
    )
    if most is not None:
        context.resources.sender.send([message])
    if not done:
        await discard(context, claim.lease.prefix, lambda: models.is_kept(context.database, claim))


async def _make(context: WorkerContext, claim: ModelClaim, deadline: asyncio.Timeout) -> None:
    job_id = claim.provider_job_id or await _submit(context, claim, deadline)
    # Told from here on: whoever sees progress may rely on the provider's job not being lost.
    progress = Progress(claim, context.settings.progress_seconds)
    async with progress.told(context.database), scratch(context.settings.work_dir) as folder:
        result = await _poll(context, claim, job_id, progress)
        progress.set(ModelStage.DOWNLOADING)
        source = await _download(context, _chosen(result.files), folder / "source")
        progress.set(ModelStage.PREPARING)
        prepared = await prepare(source, claim.size_mm, folder)
        progress.set(ModelStage.UPLOADING)
        files = await _store(context, claim, prepared)
        preview_key = await _store_preview(context, claim, result.preview, prepared.preview)
    await write_down(deadline, lambda: models.complete(context.database, claim, files, preview_key, prepared.report))


async def _submit(context: WorkerContext, claim: ModelClaim, deadline: asyncio.Timeout) -> str:
    check_not_lost(claim.submit_begun, context.models, ASKED)
    image = await _source_image(context, claim)
    return await submit_once(context, claim.lease, deadline, lambda: context.models.submit(image), ASKED)


async def _source_image(context: WorkerContext, claim: ModelClaim) -> SourceImage:
    try:
        content = await context.storage.read(claim.image_key, PICTURE_LIMIT_BYTES)
    except NotStored:
        raise ProviderError(FailureCode.STORAGE_UNAVAILABLE, "The picture is gone from the storage.", False) from None
    kind = media_type(content[:HEAD_BYTES], len(content)) or "application/octet-stream"
    # Another attempt sends the picture itself: the service may not reach its URL.
    url = await context.storage.public_url(claim.image_key) if claim.lease.attempt == 1 else None
    return SourceImage(content, kind, url)


async def _poll(context: WorkerContext, claim: ModelClaim, job_id: str, progress: Progress) -> ModelPoll:
    polls = Polls(context, claim.lease, FIRST_PAUSE_SECONDS, context.settings.poll_seconds, PAUSE_GROWTH)
    while True:
        try:
            result = await context.models.poll(job_id)
        except ProviderError as error:
            await polls.failed(error)
        else:
            polls.answered()
            if result.state is PollState.DONE:
                return result
            progress.set(ModelStage.GENERATING, result.progress)
        await polls.wait()


def _chosen(files: tuple[ProviderFile, ...]) -> ProviderFile:
    """The file that keeps most of the mesh."""
    usable = [file for file in files if file.format.upper() in PREFERENCE]
    if not usable:
        raise ProviderError(FailureCode.BAD_OUTPUT, "The model provider gave no file that holds a mesh.", False)
    return min(usable, key=lambda file: PREFERENCE.index(file.format.upper()))


async def _download(context: WorkerContext, file: ProviderFile, into: Path) -> Path:
    if file.path is not None:
        return file.path
    if file.url is None:
        raise ProviderError(FailureCode.BAD_OUTPUT, "The model provider gave neither a file nor a link.", False)
    await fetch_model(context.settings, context.models, file.url, into)
    return into


async def _store(context: WorkerContext, claim: ModelClaim, prepared: Prepared) -> list[ModelFile]:
    files = []
    for kind, path in prepared.files.items():
        stored = await store(context.resources, f"{claim.lease.prefix}/{path.name}", path, CONTENT_TYPES[kind])
        files.append(ModelFile(claim.model_id, kind, stored.key, stored.byte_size, stored.sha256))
    return files


async def _store_preview(context: WorkerContext, claim: ModelClaim, offered: ProviderFile | None, own: Path) -> str:
    """Keep the provider's preview, which has the colours; our own where there is none, or it is no picture."""
    try:
        content = None if offered is None else await _preview(context, offered)
        kind = "image/png" if content is None else await asyncio.to_thread(check_picture, content)
    except ProviderError as error:
        log.info("a preview is left out", model=claim.model_id, reason=error.failure.message)
        content, kind = None, "image/png"
    key = f"{claim.lease.prefix}/preview.{EXTENSIONS[kind]}"
    return (await store(context.resources, key, own if content is None else content, kind)).key


async def _preview(context: WorkerContext, offered: ProviderFile) -> bytes | None:
    if offered.url is not None:
        return await fetch_preview(context.settings, context.models, offered.url)
    return await asyncio.to_thread(offered.path.read_bytes) if offered.path is not None else None
