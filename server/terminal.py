"""`maquette generate`: the whole way in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import click

from db import models, queries
from db.creation import NewRequest
from db.log import read_events
from db.records import Request, decode_report
from db.refusal import Refused
from events.follow import follow_request
from events.status import ImageStatus, RequestPhase, RequestStatus
from events.types import (
    ImageCompleted,
    ImageFailed,
    ImageGenerating,
    ModelCompleted,
    ModelFailed,
    ModelGenerating,
    ModelProgress,
    RequestEvent,
    TaskUpdated,
)
from providers.load import prompt_provider
from server.authentication import LOCAL
from server.database import prepare_database
from server.logs import configure
from settings import SettingsError
from tasks.actors import configured, generate_image, generate_model, queues
from tasks.prompts import Optimizer, checked_prompt
from tasks.resources import Resources, open_resources
from tasks.sweeper import sweeping
from tasks.worker import working


def generate(prompt: str, index: int | None, size_mm: float, out: Path, *, optimize: bool) -> int:
    """Returns the exit code: 0 with the files in `out`, 1 if there is no model. Raises `SettingsError`."""
    if index is None and not sys.stdin.isatty():
        _stop("Say which image to take by --select 0 to --select 3: there is nobody to ask.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out: {out} cannot be a folder: {error.strerror}; name another") from error
    configure(configured.model_copy(update={"log_level": "WARNING"}))
    try:
        asyncio.run(_generate(prompt, index, size_mm, out, optimize=optimize))
    except Refused as refused:
        _stop(refused.message)
    return 0


async def _generate(prompt: str, index: int | None, size_mm: float, out: Path, *, optimize: bool) -> None:
    async with contextlib.AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(configured, queues, listen=True))
        await prepare_database(resources.database, configured)
        await stack.enter_async_context(sweeping(resources))
        if configured.redis_url is None:
            await stack.enter_async_context(working(resources))
        request = await _create(resources, prompt, optimize=optimize)
        events = follow_request(resources.hub, request.id, 0, partial(read_events, resources.database))
        async with contextlib.aclosing(events):
            await _images(events, index)
            index = await _choice(resources, request.id) if index is None else index
            _, _, job = await models.select_image(
                resources.database, LOCAL.user_id, request.id, index, size_mm, 0, configured.max_attempts
            )
            resources.sender.send([generate_model.message(job)])
            await _model(events)
        await _save(resources, request.id, index, out)


async def _create(resources: Resources, prompt: str, *, optimize: bool) -> Request:
    provider = prompt_provider(configured)
    try:
        text = checked_prompt(prompt)
        optimized = await Optimizer(provider, configured.prompt_timeout_seconds).improve(text, optimize=optimize)
    finally:
        await provider.aclose()
    click.echo(f"Prompt: {optimized.prompt}")
    new = NewRequest(LOCAL.user_id, text, optimize, None, optimized.prompt, optimized.variants)
    request, jobs = await resources.create_request(new)
    resources.sender.send(generate_image.message(job) for job in jobs)
    return request


async def _images(events: AsyncIterator[RequestEvent], index: int | None) -> None:
    """Tell of the images until the wanted one is there, or all have ended."""
    async for event in events:
        match event.data:
            case ImageGenerating():
                click.echo(f"Image {event.data.index}: drawing …")
            case ImageCompleted():
                click.echo(f"Image {event.data.index}: done")
                if event.data.index == index:
                    return
            case ImageFailed():
                click.echo(f"Image {event.data.index}: failed: {event.data.error_message}")
                if event.data.index == index:
                    _stop(f"Image {index} failed; try again, or select another.")
            case TaskUpdated(phase=RequestPhase.AWAITING_SELECTION, status=status):
                if status is RequestStatus.IMAGE_FAILED:
                    _stop("All four images failed.")
                return
            case _:
                continue


async def _choice(resources: Resources, request_id: str) -> int:
    images = (await queries.images_of_requests(resources.database, [request_id]))[request_id]
    there = [image for image in images if image.status is ImageStatus.COMPLETED]
    for image in there:
        if image.key is not None:
            async with resources.storage.open(image.key) as path:
                click.echo(f"  {image.index}: {path}")
    choice = click.Choice([str(image.index) for image in there])
    return int(await asyncio.to_thread(click.prompt, "Which image", type=choice))


async def _model(events: AsyncIterator[RequestEvent]) -> None:
    async for event in events:
        match event.data:
            case ModelGenerating():
                click.echo("Model: making …")
            case ModelProgress():
                about = "about " if event.data.estimated else ""
                click.echo(f"Model: {event.data.stage.lower()}, {about}{event.data.progress} %")
            case ModelCompleted():
                click.echo("Model: done")
                return
            case ModelFailed():
                _stop(f"The model failed: {event.data.error_message}")
            case _:
                continue


async def _save(resources: Resources, request_id: str, index: int, out: Path) -> None:
    image = (await queries.images_of_requests(resources.database, [request_id]))[request_id][index]
    model = (await queries.models_of_requests(resources.database, [request_id]))[request_id][0]
    files = (await queries.files_of_models(resources.database, [model.id]))[model.id]
    for key in (image.key, model.preview_key, *(file.key for file in files)):
        if key is not None:
            async with resources.storage.open(key) as path:
                copy = out / (f"image{path.suffix}" if key == image.key else path.name)
                shutil.copyfile(path, copy)
                click.echo(copy)
    report = decode_report(model.print_report)
    if report is not None:
        click.echo(
            f"{report.width_mm:.1f} by {report.depth_mm:.1f} by {report.height_mm:.1f} mm, "
            f"{report.triangle_count} triangles, {'printable' if report.printable else 'not printable as it is'}"
        )
        for issue in report.issues:
            click.echo(f"  {issue.code}: {issue.message}")


def _stop(message: str) -> NoReturn:
    click.echo(f"maquette: {message}", err=True)
    sys.exit(1)
