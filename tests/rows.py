"""Databases with tables, and requests in them, for tests of the verbs."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select, update

from db import creation, images, lost, models
from db.creation import NewRequest
from db.images import Drawn, ImageClaim
from db.jobs import Terms
from db.log import read_events
from db.migrate import migrate
from db.models import ModelClaim
from db.queries import requests_by_id
from db.records import ModelFile, Request
from db.session import Database, Transaction
from db.tables import image_generation_jobs, metadata, model_generation_jobs
from events.bus import Message
from events.clock import utc_now
from events.outcome import Failure, FailureCode, ModelFormat, PrintReport
from events.types import RequestEvent

IMAGE_JOBS, MODEL_JOBS = image_generation_jobs, model_generation_jobs
FAILURE = Failure(FailureCode.CONTENT_REJECTED, "The picture was refused.", retryable=False)
REPORT = PrintReport(True, True, 100.0, 50.0, 60.5, 12.25, 320, 1)
LEASE_SECONDS = 30.0
SECONDS = 120.0
TERMS = Terms(LEASE_SECONDS, SECONDS)


def sqlite_url(folder: Path) -> str:
    """The URL of a SQLite database with all tables and no rows, in a folder."""
    path = folder / "maquette.db"
    shutil.copy(_template(), path)
    return f"sqlite+aiosqlite:///{path}"


@functools.cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="maquette-template-")) / "template.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    migrated(f"sqlite+aiosqlite:///{path}")
    return path


def migrated(url: str) -> None:
    """Make the tables of a database, from where a loop may be running already."""

    async def make() -> None:
        async with opened(url) as database:
            await migrate(database)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(make())).result()


class Told(list[Message]):
    """What was broadcast."""

    @property
    def events(self) -> list[RequestEvent]:
        return [event for message in self for event in getattr(message, "events", ())]


@asynccontextmanager
async def opened(url: str, told: Told | None = None) -> AsyncIterator[Database]:
    database = Database(url, Told().append if told is None else told.append)
    try:
        yield database
    finally:
        await database.aclose()


class ForgetfulDatabase(Database):
    """Its connection breaks after a commit, before the answer, as often as it is told.

    Where `event` is set, only after a commit that tells of one.
    """

    breaks = 0
    event: str | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as transaction:
            yield transaction
        if self.breaks and self.event in (None, *(told.name for told in transaction.told)):
            self.breaks -= 1
            raise ConnectionResetError("the answer to the commit was lost")


async def empty(database: Database) -> None:
    """Remove every row of every table."""
    async with database.transaction() as transaction:
        for table in reversed(metadata.sorted_tables):
            await transaction.execute(table.delete())


def new_request(user_id: str = "ann", key: str | None = None, prompt: str = "an owl") -> NewRequest:
    return NewRequest(user_id, prompt, True, key, f"{prompt}, printable", (prompt, prompt, prompt, prompt))


async def create(database: Database, user_id: str = "ann", limit: int = 0, attempts: int = 3) -> tuple[str, list[str]]:
    """Returns the id of the request and those of its jobs, by index of the image."""
    request, jobs = await creation.create(database, new_request(user_id), limit, attempts)
    return request.id, jobs


async def claim_image(database: Database, job_id: str, lease_seconds: float = LEASE_SECONDS) -> ImageClaim:
    claim = await images.claim(database, job_id, Terms(lease_seconds, SECONDS))
    assert claim is not None
    return claim


async def claim_model(database: Database, job_id: str, lease_seconds: float = LEASE_SECONDS) -> ModelClaim:
    claim = await models.claim(database, job_id, Terms(lease_seconds, SECONDS))
    assert claim is not None
    return claim


async def draw(database: Database, job_id: str) -> None:
    claim = await claim_image(database, job_id)
    await images.complete(database, Drawn(claim, f"{claim.lease.prefix}.png"))


async def fail_image(database: Database, job_id: str) -> None:
    await images.fail(database, await claim_image(database, job_id), FAILURE)


async def drawn(database: Database, user_id: str = "ann") -> str:
    """A request whose four images are there."""
    request_id, jobs = await create(database, user_id)
    for job in jobs:
        await draw(database, job)
    return request_id


async def select_image(database: Database, request_id: str, index: int = 0, user_id: str = "ann") -> str:
    """Returns the id of the model's job."""
    _, _, job_id = await models.select_image(database, user_id, request_id, index, 100, 0, 3)
    return job_id


def files_of(claim: ModelClaim) -> list[ModelFile]:
    return [
        ModelFile(claim.model_id, kind, f"{claim.lease.prefix}/model.{kind.lower()}", 123, "0" * 64)
        for kind in ModelFormat
    ]


async def finish_model(database: Database, claim: ModelClaim) -> None:
    await models.complete(database, claim, files_of(claim), f"{claim.lease.prefix}/preview.png", REPORT)


async def finished(database: Database, user_id: str = "ann") -> str:
    """A request whose model is there."""
    request_id = await drawn(database, user_id)
    job_id = await select_image(database, request_id, user_id=user_id)
    await finish_model(database, await claim_model(database, job_id))
    return request_id


async def row(database: Database, table: Table, **where: Any) -> Any:
    async with database.reading() as connection:
        conditions = [table.c[name] == value for name, value in where.items()]
        return (await connection.execute(select(table).where(*conditions))).one()


async def rows(database: Database, table: Table, **where: Any) -> Sequence[Any]:
    async with database.reading() as connection:
        conditions = [table.c[name] == value for name, value in where.items()]
        return (await connection.execute(select(table).where(*conditions))).all()


async def write(database: Database, table: Table, row_id: str, **values: Any) -> None:
    """Write columns past all verbs."""
    async with database.transaction() as transaction:
        await transaction.execute(update(table).where(table.c.id == row_id).values(values))


async def expire(database: Database, table: Table, job_id: str, ago: float = 1.0) -> None:
    """Have the worker of a job fall silent: its lease ran out some seconds ago, and nothing was sent since."""
    past = utc_now() - timedelta(seconds=ago)
    await write(database, table, job_id, lease_expires_at=past, sent_at=past - timedelta(seconds=60))


async def abandon(database: Database, table: Table, job_id: str, ago: float = 1.0) -> None:
    """Have the worker of a job fall silent, and be found gone."""
    await expire(database, table, job_id, ago)
    assert job_id in await lost.recover(database, table, 1_000, 5, utc_now())


async def request_of(database: Database, request_id: str) -> Request:
    return (await requests_by_id(database, [request_id]))[request_id]


async def history(database: Database, request_id: str) -> list[RequestEvent]:
    return await read_events(database, request_id, 0, 1_000)
