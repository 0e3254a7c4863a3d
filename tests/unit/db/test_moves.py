"""The tables of legal moves: what the verbs do is exactly what they have."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path

import pytest

from db import images, jobs, lost, models, requests
from db.images import Drawn, ImageClaim
from db.jobs import LeaseLost
from db.log import append, lock_request, task_updated
from db.models import ModelClaim
from db.refusal import Refused
from db.session import Database
from db.tables import generated_images, generation_requests
from db.tables import models as models_table
from events.clock import utc_now
from events.status import (
    IMAGE_MOVES,
    JOB_MOVES,
    MODEL_MOVES,
    PHASES,
    REQUEST_MOVES,
    IllegalMove,
    ImageStatus,
    JobStatus,
    ModelStatus,
    RequestPhase,
    RequestStatus,
)
from tests.rows import (
    FAILURE,
    IMAGE_JOBS,
    MODEL_JOBS,
    TERMS,
    create,
    drawn,
    expire,
    finish_model,
    opened,
    request_of,
    row,
    rows,
    select_image,
    sqlite_url,
    write,
)

Moves = set[tuple[str, str]]
TABLES: Mapping[str, Mapping[StrEnum, Iterable[StrEnum]]] = {
    "generation_requests": REQUEST_MOVES,
    "generated_images": IMAGE_MOVES,
    "models": MODEL_MOVES,
    "image_generation_jobs": JOB_MOVES,
    "model_generation_jobs": JOB_MOVES,
}
NEVER_RETRIED: Moves = {("FAILED", "PENDING")}
"""A failed model is not tried again: another one is made."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(sqlite_url(tmp_path)) as database:
        yield database


@pytest.mark.parametrize(
    ("statuses", "moves"),
    [(RequestStatus, REQUEST_MOVES), (ImageStatus, IMAGE_MOVES), (ModelStatus, MODEL_MOVES), (JobStatus, JOB_MOVES)],
)
def test_the_tables_are_total(statuses: type[StrEnum], moves: Mapping[StrEnum, frozenset[StrEnum]]):
    assert set(moves) == set(statuses)
    for old, new in moves.items():
        assert new <= set(statuses)
        assert old not in new


def test_every_status_has_its_phase():
    assert set(PHASES) == set(RequestStatus)
    assert set(PHASES.values()) == set(RequestPhase)
    assert {status: status.phase for status in RequestStatus} == dict(PHASES)
    awaiting = {status for status, phase in PHASES.items() if phase is RequestPhase.AWAITING_SELECTION}
    assert awaiting == {RequestStatus.IMAGE_COMPLETED, RequestStatus.IMAGE_FAILED, RequestStatus.MODEL_FAILED}


async def test_a_request_makes_legal_moves_only(database: Database):
    request_id, _ = await create(database)
    for old, new in product(RequestStatus, RequestStatus):
        await write(database, generation_requests, request_id, status=old)
        legal = new in REQUEST_MOVES[old] or new is old
        with contextlib.nullcontext() if legal else pytest.raises(IllegalMove):
            async with database.transaction() as transaction:
                request = await lock_request(transaction, request_id)
                assert request is not None
                append(transaction, request, task_updated(new), status=new)
        assert (await request_of(database, request_id)).status is (new if legal else old)


async def test_an_image_makes_legal_moves_only(database: Database):
    request_id, _ = await create(database)
    image = (await rows(database, generated_images, request_id=request_id, index=0))[0]
    for old, new in product(ImageStatus, ImageStatus):
        await write(database, generated_images, image.id, status=old)
        with contextlib.nullcontext() if new in IMAGE_MOVES[old] else pytest.raises(IllegalMove):
            async with database.transaction() as transaction:
                images._move(transaction, [image.id], old, new)
        found = await row(database, generated_images, id=image.id)
        assert found.status is (new if new in IMAGE_MOVES[old] else old)


async def test_a_model_makes_legal_moves_only(database: Database):
    await select_image(database, await drawn(database))
    model = (await rows(database, models_table))[0]
    for old, new in product(ModelStatus, ModelStatus):
        await write(database, models_table, model.id, status=old)
        with contextlib.nullcontext() if new in MODEL_MOVES[old] else pytest.raises(IllegalMove):
            async with database.transaction() as transaction:
                await models._move(transaction, model.id, old, new)
        found = await row(database, models_table, id=model.id)
        assert found.status is (new if new in MODEL_MOVES[old] else old)


@dataclass
class World:
    """A request, the jobs of its images by index, and those of its models."""

    database: Database
    request_id: str
    image_jobs: list[str]
    model_jobs: list[str]

    async def select(self, index: int) -> None:
        self.model_jobs.append(await select_image(self.database, self.request_id, index))

    async def retry(self, index: int) -> None:
        image = await row(self.database, generated_images, request_id=self.request_id, index=index)
        await images.retry(self.database, "ann", image.id, 0)

    async def claim_image(self, index: int = 0) -> ImageClaim:
        claim = await images.claim(self.database, self.image_jobs[index], TERMS)
        if claim is None:
            raise LeaseLost
        return claim

    async def claim_model(self) -> ModelClaim:
        claim = await models.claim(self.database, (self.model_jobs or ["job_none"])[-1], TERMS)
        if claim is None:
            raise LeaseLost
        return claim


Step = Callable[[World], Awaitable[object]]


async def _expire(world: World) -> None:
    await expire(world.database, IMAGE_JOBS, world.image_jobs[0])
    if world.model_jobs:
        await expire(world.database, MODEL_JOBS, world.model_jobs[-1])
    for table in (IMAGE_JOBS, MODEL_JOBS):
        await lost.recover(world.database, table, 1_000, 5, utc_now())


async def _draw(world: World, *indexes: int) -> None:
    for index in indexes:
        await images.complete(world.database, Drawn(await world.claim_image(index), "a.png"))


async def _fail(world: World, *indexes: int) -> None:
    for index in indexes:
        await images.fail(world.database, await world.claim_image(index), FAILURE)


async def _back_off(world: World) -> None:
    await jobs.back_off(world.database, (await world.claim_image()).lease, FAILURE, 0, counts=True)


async def _finish_model(world: World) -> None:
    await finish_model(world.database, await world.claim_model())


async def _fail_model(world: World) -> None:
    await models.fail(world.database, await world.claim_model(), FAILURE)


async def _back_off_model(world: World) -> None:
    await jobs.back_off(world.database, (await world.claim_model()).lease, FAILURE, 0, counts=True)


async def _cancel(world: World) -> None:
    await requests.cancel(world.database, "ann", world.request_id)


# How to get where a request may stand.
WAYS: dict[str, list[Step]] = {
    "new": [],
    "one in hand": [lambda world: world.claim_image()],
    "one backed off": [_back_off],
    "one failed, others to come": [lambda world: _fail(world, 0)],
    "one failed, others there": [lambda world: _fail(world, 0), lambda world: _draw(world, 1, 2, 3)],
    "all failed": [lambda world: _fail(world, 0, 1, 2, 3)],
    "one tried again, others there": [
        lambda world: _fail(world, 0),
        lambda world: _draw(world, 1, 2, 3),
        lambda world: world.retry(0),
    ],
    "one tried again, others failed": [lambda world: _fail(world, 0, 1, 2, 3), lambda world: world.retry(0)],
    "all there": [lambda world: _draw(world, 0, 1, 2, 3)],
    "early choice": [lambda world: _draw(world, 1), lambda world: world.select(1)],
    "early choice, failed": [lambda world: _draw(world, 1), lambda world: world.select(1), _fail_model],
    "early choice, finished": [lambda world: _draw(world, 1), lambda world: world.select(1), _finish_model],
    "chosen": [lambda world: _draw(world, 0, 1, 2, 3), lambda world: world.select(0)],
    "model in hand": [
        lambda world: _draw(world, 0, 1, 2, 3),
        lambda world: world.select(0),
        lambda world: world.claim_model(),
    ],
    "model backed off": [lambda world: _draw(world, 0, 1, 2, 3), lambda world: world.select(0), _back_off_model],
    "one failed, another finished": [
        lambda world: _fail(world, 0),
        lambda world: _draw(world, 1, 2, 3),
        lambda world: world.select(1),
        _finish_model,
    ],
    "cancelled": [_cancel],
    "cancelled with a model": [lambda world: _draw(world, 0, 1, 2, 3), lambda world: world.select(0), _cancel],
}

VERBS: dict[str, Step] = {
    "claim": lambda world: world.claim_image(),
    "complete": lambda world: _draw(world, 0),
    "fail": lambda world: _fail(world, 0),
    "end the last ones": lambda world: _draw(world, 1, 2, 3),
    "back off": _back_off,
    "expire and claim": lambda world: _expired(world, world.claim_image),
    "retry": lambda world: world.retry(0),
    "select the first": lambda world: world.select(0),
    "select the second": lambda world: world.select(1),
    "claim the model": lambda world: world.claim_model(),
    "finish the model": _finish_model,
    "fail the model": _fail_model,
    "back off the model": _back_off_model,
    "expire and claim the model": lambda world: _expired(world, world.claim_model),
    "cancel": _cancel,
}


async def _expired(world: World, claim: Callable[[], Awaitable[object]]) -> None:
    await _expire(world)
    await claim()


async def gone(database: Database, way: list[Step]) -> World:
    world = World(database, *await create(database), [])
    for step in way:
        await step(world)
    return world


async def note_moves(database: Database) -> None:
    """Have the database itself note each change of a status."""
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE moves (name TEXT, old TEXT, new TEXT)")
        for name in TABLES:
            await connection.exec_driver_sql(
                f"CREATE TRIGGER note_{name} AFTER UPDATE OF status ON {name} WHEN old.status <> new.status "
                f"BEGIN INSERT INTO moves VALUES ('{name}', old.status, new.status); END"
            )


async def moves_of(database: Database, name: str) -> Moves:
    async with database.reading() as connection:
        found = await connection.exec_driver_sql("SELECT DISTINCT old, new FROM moves WHERE name = ?", (name,))
        return {(old, new) for old, new in found.all()}


async def test_the_verbs_make_every_legal_move_and_no_other(database: Database):
    await note_moves(database)
    for way in WAYS.values():
        world = None
        for verb in VERBS.values():
            world = world or await gone(database, way)
            with contextlib.suppress(Refused, LeaseLost):
                await verb(world)
                world = None  # the verb did something; one that is refused changes nothing
    for name, table in TABLES.items():
        legal = {(old.value, new.value) for old, targets in table.items() for new in targets}
        if name == "model_generation_jobs":
            legal -= NEVER_RETRIED
        assert await moves_of(database, name) == legal, name
