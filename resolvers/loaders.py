"""Loaders: what all fields of an operation ask for at once is read in one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from strawberry.dataloader import DataLoader

from db import queries
from db.records import Model
from db.session import Database
from resolvers.limits import ASSUMED_SIZES, LARGEST_PAGE
from schema.context import Loaders
from schema.errors import ErrorCode, api_error, gone

R = TypeVar("R")
BATCH = 500
MOST_MODELS = LARGEST_PAGE * ASSUMED_SIZES["models"]
"""A request has any number of them, and each leads back to it: the document does not show how many it gives."""

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


def _models(database: Database) -> DataLoader[str, list[Model]]:
    given = 0

    async def load(ids: list[str]) -> list[list[Model]]:
        nonlocal given
        lists: list[list[Model]] = []
        if given <= MOST_MODELS:
            found = await queries.models_of_requests(database, ids)
            lists = [found.get(key, []) for key in ids]
            given += sum(map(len, lists))
        if given > MOST_MODELS:
            message = f"The operation gives more than {MOST_MODELS} models. Ask for fewer requests at a time."
            raise api_error(ErrorCode.QUERY_TOO_COMPLEX, message)
        return lists

    return DataLoader(load_fn=load, cache=False, max_batch_size=BATCH)


def make_loaders(database: Database) -> Loaders:
    return Loaders(
        request=_one_or_none(database, queries.requests_by_id),
        image=_one_or_none(database, queries.images_by_id),
        model=_one_or_none(database, queries.models_by_id),
        images=_many(database, queries.images_of_requests),
        models=_models(database),
        files=_many(database, queries.files_of_models),
        model_job=_one(database, queries.jobs_of_models),
    )
