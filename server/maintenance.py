"""`maquette migrate` and `maquette doctor`."""

from __future__ import annotations

import asyncio

import click

from db import jobs, workers
from db import migrate as migrations
from db.tables import image_generation_jobs, model_generation_jobs
from providers.load import image_provider, model_provider, prompt_provider
from server.health import check_all
from server.logs import configure
from settings import SettingsError
from tasks.actors import configured, queues
from tasks.broker import IMAGES, MODELS
from tasks.resources import Resources, open_resources

WORKER_SECONDS = 20.0
STUCK_SECONDS = 300.0


def migrate() -> None:
    """Bring the tables up to date. Raises `SettingsError`."""
    configure(configured)
    asyncio.run(_migrate())
    click.echo("The tables are up to date.")


async def _migrate() -> None:
    async with open_resources(configured, queues, listen=False) as resources:
        await migrations.migrate(resources.database)


def doctor() -> int:
    """Check everything that is configured, one line each; returns the exit code: 1 if anything is wrong."""
    configure(configured.model_copy(update={"log_level": "ERROR"}))
    findings = asyncio.run(_examine())
    for name, problem in findings.items():
        click.echo(f"{'ok   ' if problem is None else 'WRONG'}  {name}{f': {problem}' if problem else ''}")
    return 1 if any(findings.values()) else 0


async def _examine() -> dict[str, str | None]:
    async with open_resources(configured, queues, listen=False) as resources:
        findings: dict[str, str | None] = {"settings": None, **await check_all(resources)}
        findings["providers"] = await _providers()
        if findings["database"] is None:
            findings.update(await _work(resources))
    return findings


async def _providers() -> str | None:
    for make in (prompt_provider, image_provider, model_provider):
        try:
            await make(configured).aclose()
        except SettingsError as error:
            return str(error)
    return None


async def _work(resources: Resources) -> dict[str, str | None]:
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
