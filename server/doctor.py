"""`maquette doctor`: everything that is configured is looked at, in ways that cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import click

from db import jobs, workers
from db import migrate as migrations
from db.tables import image_generation_jobs, model_generation_jobs
from providers.load import image_provider, model_provider, prompt_provider
from providers.protocol import ImageProvider, ModelProvider, PromptProvider
from server.authentication import Authenticator
from server.health import check_all
from server.logs import configure
from settings import Settings
from storage import StorageUnavailable
from tasks.actors import configured, queues
from tasks.broker import IMAGES, MODELS
from tasks.resources import Resources, open_resources

WORKER_SECONDS = 20.0
STUCK_SECONDS = 300.0
SERVICE_SECONDS = 20.0
HERE = ("http://127.0.0.1:8000", "http://localhost:8000")

Findings = dict[str, str | None]
"""What is wrong, and what to do, by name: one line for each, None where all is well."""


def doctor() -> int:
    """Check everything that is configured, one line each; returns the exit code: 1 if anything is wrong."""
    configure(configured.model_copy(update={"log_level": "CRITICAL"}))
    findings = asyncio.run(_examine())
    for name, problem in findings.items():
        click.echo(f"{'ok   ' if problem is None else 'WRONG'}  {name}{f': {problem}' if problem else ''}")
    return 1 if any(findings.values()) else 0


async def _examine() -> Findings:
    findings: Findings = {"settings": None}
    try:
        async with open_resources(configured, queues, listen=False) as resources:
            findings |= await check_all(resources)
            if findings["storage"] is None:
                findings |= await _bucket(resources)
            findings |= await _services(configured)
            if findings["database"] is None:
                findings |= await _work(resources)
    except StorageUnavailable as error:
        findings["storage"] = str(error)
    return findings


async def _bucket(resources: Resources) -> Findings:
    """Whether pages may load the bucket's files, where there is a bucket."""
    settings = resources.settings
    if settings.s3_bucket is None:
        return {}
    from storage.s3 import S3Storage  # noqa: PLC0415  # boto3 takes half a second
    from storage.s3_cors import rule  # noqa: PLC0415  # as above

    storage = resources.storage
    assert isinstance(storage, S3Storage)
    origins = _origins(settings)

    async def check() -> None:
        if missing := await storage.check_cors(origins):
            raise StorageUnavailable(
                f"pages of {', '.join(missing)} cannot load the files; have it set: aws s3api put-bucket-cors "
                f"--bucket {settings.s3_bucket} --cors-configuration '{rule(origins)}'"
            )

    return {"bucket's CORS rule": await _problem(check())}


def _origins(settings: Settings) -> Sequence[str]:
    """Where pages come from that show the files."""
    parts = urlsplit(settings.public_url or "")
    own = (f"{parts.scheme}://{parts.netloc}",) if settings.public_url else ()
    return (*own, *(origin for origin in settings.allowed_origins if origin not in own)) or HERE


async def _services(settings: Settings) -> Findings:
    checks: dict[str, Awaitable[None]] = {
        f"prompts by {settings.prompt_provider}": _provider(prompt_provider, settings),
        f"images by {settings.image_provider}": _provider(image_provider, settings),
        f"models by {settings.model_provider}": _provider(model_provider, settings),
    }
    if settings.jwt_jwks_url is not None:
        checks["tokens' keys"] = Authenticator(settings).check()
    return dict(zip(checks, await asyncio.gather(*map(_problem, checks.values())), strict=True))


async def _provider(
    make: Callable[[Settings], PromptProvider | ImageProvider | ModelProvider], settings: Settings
) -> None:
    """Make the provider, and have it check itself if it can. Raises what is wrong."""
    provider = make(settings)
    try:
        check = getattr(provider, "check", None)
        if check is not None:
            await check()
    finally:
        await provider.aclose()


async def _problem(check: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(SERVICE_SECONDS):
            await check
    except TimeoutError:
        return f"no answer within {SERVICE_SECONDS:g} seconds"
    except Exception as error:  # every failure is an answer here
        return " ".join(str(error).split()) or type(error).__name__
    return None


async def _work(resources: Resources) -> Findings:
    """The tables, the workers, and the jobs that should have been done by now."""
    database = resources.database
    if not await migrations.is_current(database):
        return {"tables": "not up to date; run `maquette migrate`"}
    living = await workers.living(database, WORKER_SECONDS)
    lacking = [
        name
        for name, count in (
            (IMAGES, sum(worker.image_slots for worker in living)),
            (MODELS, sum(worker.model_slots for worker in living)),
        )
        if count == 0
    ]
    stuck = 0
    for table in (image_generation_jobs, model_generation_jobs):
        stuck += await jobs.count_stuck(database, table, STUCK_SECONDS)
    return {
        "tables": None,
        "workers": f"none works on {' and '.join(lacking)}; start `maquette serve` or `maquette worker`"
        if lacking
        else None,
        "jobs": f"{stuck} have waited for more than {STUCK_SECONDS:g} seconds; are there workers enough?"
        if stuck
        else None,
    }
