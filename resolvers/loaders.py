"""Loaders: what all fields of an operation ask for at once is read in one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from strawberry.dataloader import DataLoader

from db import queries
from db.session import Database
from schema.context import Loaders
from schema.errors import gone

R = TypeVar("R")
BATCH = 500

Read = Callable[[Database, Sequence[str]], Awaitable[Mapping[str, R]]]


def _one_or_none(database: Database, read: Read[R]) -> DataLoader[str, R | None]:
    async def load(ids: list[str]) -> list[R | None]:
        found = await read(database, ids)
        return [found.get(key) for key in ids]

    return DataLoader(load_fn=load, cache=False, max_batch_size=BATCH)


def _one(database: Database, read: Read[R]) -> DataLoader[str, R]:
    async def load(ids: list[str]) -> list[R | BaseException]:
        found = await read(database, ids)
        # It is there unless its request was deleted since the row was read that it belongs to.
        return [found.get(key) or gone("job") for key in ids]

    return DataLoader(load_fn=load, cache=False, max_batch_size=BATCH)


def _many(database: Database, read: Read[list[R]]) -> DataLoader[str, list[R]]:
    async def load(ids: list[str]) -> list[list[R]]:
        found = await read(database, ids)
        return [found.get(key, []) for key in ids]

    return DataLoader(load_fn=load, cache=False, max_batch_size=BATCH)


def make_loaders(database: Database) -> Loaders:
    return Loaders(
        request=_one_or_none(database, queries.requests_by_id),
        image=_one_or_none(database, queries.images_by_id),
        model=_one_or_none(database, queries.models_by_id),
        images=_many(database, queries.images_of_requests),
        models=_many(database, queries.models_of_requests),
        files=_many(database, queries.files_of_models),
        model_job=_one(database, queries.jobs_of_models),
    )
