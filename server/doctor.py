"""`maquette doctor`: everything that is configured is looked at, in ways that cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from db import lost
from db import migrate as migrations
from db.queues import JOBS, queue_states
from providers.load import image_provider, model_provider, prompt_provider
from providers.protocol import ImageProvider, ModelProvider, PromptProvider, ProviderError
from providers.quote import LONGEST, shown
from server.authentication import Authenticator
from server.database import advice
from server.health import check_all
from server.keys import KeysUnavailable
from server.logs import configure
from settings import Settings, SettingsError
from storage import StorageUnavailable
from tasks.actors import configured, queues
from tasks.resources import Resources, open_resources
from tasks.scratch import scratch

STUCK_SECONDS = 300.0
SERVICE_SECONDS = 20.0
HERE = ("http://127.0.0.1:8000", "http://localhost:8000")
ROWS = ("tables", "workers", "jobs")
CLEAR = (ProviderError, SettingsError, StorageUnavailable, KeysUnavailable)
"""Errors whose message is one line that says what to do."""

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
            findings |= await _stores(resources)
    except StorageUnavailable as error:
        findings |= {"storage": str(error)} | _unseen(("database", *ROWS), "the storage cannot be opened")
    findings["work folder"] = await _problem(_work_folder(configured.work_dir), "WORK_DIR")
    return findings | await _services(configured)


async def _stores(resources: Resources) -> Findings:
    findings: Findings = await check_all(resources)
    if findings["storage"] is None:
        findings |= await _bucket(resources)
    if findings["database"] is None:
        findings["database"] = await _writable(resources)
    if findings["database"] is not None:
        return findings | _unseen(ROWS, "the database cannot be used")
    try:
        async with asyncio.timeout(SERVICE_SECONDS):
            return findings | await _rows(resources)
    except Exception as error:  # every failure is an answer here
        return findings | _unseen(ROWS, advice(resources.settings, error, SERVICE_SECONDS))


def _unseen(names: Sequence[str], reason: str) -> Findings:
    """What could not be looked at is said as well: nobody is to take it for being well."""
    return dict.fromkeys(names, f"not looked at: {reason}")


async def _writable(resources: Resources) -> str | None:
    """A file that may be read and not written answers all the same."""
    try:
        async with asyncio.timeout(SERVICE_SECONDS), resources.database.transaction():
            return None
    except Exception as error:  # every failure is an answer here
        return advice(resources.settings, error, SERVICE_SECONDS)


async def _work_folder(work_dir: Path) -> None:
    """Whether a worker that runs here could keep a model's files while it makes it."""
    try:
        async with scratch(work_dir) as folder:
            await asyncio.to_thread((folder / "probe").write_bytes, b"\0" * 4096)
    except StorageUnavailable as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise StorageUnavailable(
            f"WORK_DIR: {work_dir} cannot be written to: {reason}; make room, give the program's user the right, "
            "or set another folder"
        ) from None


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
    elsewhere = " and have S3_PUBLIC_URL's host heed it" if settings.s3_public_url else ""

    async def check() -> None:
        if missing := await storage.check_cors(origins):
            raise StorageUnavailable(
                f"pages of {', '.join(missing)} cannot load the files; have it set: aws s3api put-bucket-cors "
                f"--bucket {settings.s3_bucket} --cors-configuration '{rule(origins)}'{elsewhere}"
            )

    return {"bucket's CORS rule": await _problem(check(), "S3_BUCKET")}


def _origins(settings: Settings) -> Sequence[str]:
    """Where pages come from that show the files."""
    parts = urlsplit(settings.public_url or "")
    own = (f"{parts.scheme}://{parts.netloc}",) if settings.public_url else ()
    return (*own, *(origin for origin in settings.allowed_origins if origin not in own)) or HERE


async def _services(settings: Settings) -> Findings:
    checks: dict[str, Awaitable[str | None]] = {
        f"prompts by {settings.prompt_provider}": _problem(_provider(prompt_provider, settings), "PROMPT_PROVIDER"),
        f"images by {settings.image_provider}": _problem(_provider(image_provider, settings), "IMAGE_PROVIDER"),
        f"models by {settings.model_provider}": _problem(_provider(model_provider, settings), "MODEL_PROVIDER"),
    }
    if settings.jwt_jwks_url is not None:
        checks["tokens' keys"] = _problem(Authenticator(settings).check(), "JWT_JWKS_URL")
    return dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))


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


async def _problem(check: Awaitable[None], setting: str) -> str | None:
    """What the check finds; `setting` is named where the error does not say by itself what to do."""
    try:
        async with asyncio.timeout(SERVICE_SECONDS):
            await check
    except TimeoutError:
        return f"{setting}: no answer within {SERVICE_SECONDS:g} seconds"
    except CLEAR as error:
        return " ".join(str(error).split())
    except Exception as error:  # every failure is an answer here
        return f"{setting}: {type(error).__name__}: {shown(str(error), LONGEST, *configured.secrets)}"
    return None


async def _rows(resources: Resources) -> Findings:
    """The tables, the workers, and the jobs that should have been done by now."""
    database = resources.database
    revision = await migrations.revision(database)
    if revision is None and resources.settings.is_sqlite:  # the first start makes them
        return {"tables": None, "workers": "none works; start `maquette serve`", "jobs": None}
    if revision != migrations.HEAD:
        rest = _unseen(("workers", "jobs"), "the tables are not up to date")
        return {"tables": "not up to date; run `maquette migrate`"} | rest
    lacking = [queue.name for queue in await queue_states(database) if not queue.workers]
    stuck = 0
    for table in JOBS.values():
        stuck += await lost.count_stuck(database, table, STUCK_SECONDS)
    return {
        "tables": None,
        "workers": f"none works on {' and '.join(lacking)}; start `maquette serve` or `maquette worker`"
        if lacking
        else None,
        "jobs": f"{stuck} have waited for more than {STUCK_SECONDS:g} seconds; are there workers enough?"
        if stuck
        else None,
    }
