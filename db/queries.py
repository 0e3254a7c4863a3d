"""What the API reads: rows by the ids of what they belong to, and pages of a user's requests and models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Select, Table, bindparam, func, select

from db.log import REQUEST_COLUMNS
from db.models import MODEL_COLUMNS
from db.records import Image, ImageWithJob, Job, Model, ModelFile, Request, columns_of
from db.requests import ACTIVE
from db.session import Database, Transaction
from db.statements import Prepared
from db.tables import (
    generated_images,
    generation_requests,
    image_generation_jobs,
    model_files,
    model_generation_jobs,
    models,
)
from events.outcome import ModelFormat
from events.status import RequestStatus

R = TypeVar("R")
IMAGE_COLUMNS = columns_of(Image, generated_images)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Rows newest first, and whether there are more on either side."""

    rows: list[R]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list: `count` of them after or before a cursor, from its start or, `from_end`, from its end."""

    count: int
    after: str | None = None
    before: str | None = None
    from_end: bool = False


async def requests_by_id(database: Database, ids: Sequence[str]) -> Mapping[str, Request]:
    rows = await _rows(database, _by(generation_requests.c.id, *REQUEST_COLUMNS), ids)
    return {row[0]: Request(*row) for row in rows}


async def images_by_id(database: Database, ids: Sequence[str]) -> Mapping[str, ImageWithJob]:
    return {image.id: image for image in await _images(database, generated_images.c.id, ids)}


async def image_in(transaction: Transaction, image_id: str) -> ImageWithJob:
    """An image, which is there, as a transaction has it."""
    [row] = await transaction.read(_images_by(generated_images.c.id).bind({"ids": [image_id]}))
    return _image(row)


async def models_by_id(database: Database, ids: Sequence[str]) -> Mapping[str, Model]:
    return {row[0]: Model(*row) for row in await _rows(database, _by(models.c.id, *MODEL_COLUMNS), ids)}


async def images_of_requests(database: Database, ids: Sequence[str]) -> Mapping[str, list[ImageWithJob]]:
    """By index."""
    images = _grouped(await _images(database, generated_images.c.request_id, ids), lambda image: image.request_id)
    return {request_id: sorted(group, key=lambda image: image.index) for request_id, group in images.items()}


async def models_of_requests(database: Database, ids: Sequence[str]) -> Mapping[str, list[Model]]:
    """Newest first."""
    rows = await _rows(database, _by(models.c.request_id, *MODEL_COLUMNS), ids)
    found = _grouped((Model(*row) for row in rows), lambda model: model.request_id)
    return {key: sorted(group, key=lambda model: model.id, reverse=True) for key, group in found.items()}


async def files_of_models(database: Database, ids: Sequence[str]) -> Mapping[str, list[ModelFile]]:
    """In the order of their formats."""
    rows = await _rows(database, _by(model_files.c.model_id, *columns_of(ModelFile, model_files)), ids)
    files = _grouped((ModelFile(*row) for row in rows), lambda file: file.model_id)
    order = list(ModelFormat)
    return {key: sorted(group, key=lambda file: order.index(file.format)) for key, group in files.items()}


async def jobs_of_models(database: Database, ids: Sequence[str]) -> Mapping[str, Job]:
    subject = model_generation_jobs.c.model_id
    rows = await _rows(database, _by(subject, subject, *columns_of(Job, model_generation_jobs)), ids)
    return {row[0]: Job(*row[1:]) for row in rows}


async def page_of_requests(
    database: Database, user_id: str, window: Window, statuses: Sequence[RequestStatus] | None
) -> Page[Request]:
    page = await _page(database, REQUEST_COLUMNS, generation_requests, _mine(user_id, statuses), window)
    return Page([Request(*row) for row in page.rows], page.has_next, page.has_previous)


async def count_requests(database: Database, user_id: str, statuses: Sequence[RequestStatus] | None) -> int:
    return await _count(database, generation_requests, _mine(user_id, statuses))


async def count_active(database: Database, user_id: str) -> int:
    return await count_requests(database, user_id, ACTIVE)


async def page_of_models(database: Database, user_id: str, window: Window) -> Page[Model]:
    page = await _page(database, MODEL_COLUMNS, models, [models.c.user_id == user_id], window)
    return Page([Model(*row) for row in page.rows], page.has_next, page.has_previous)


async def count_models(database: Database, user_id: str) -> int:
    return await _count(database, models, [models.c.user_id == user_id])


async def owner_of_request(database: Database, request_id: str) -> str | None:
    """The user to whom a request belongs, or None where there is no such request."""
    query = select(generation_requests.c.user_id).where(generation_requests.c.id == request_id)
    async with database.reading() as connection:
        return await connection.scalar(query)


def _mine(user_id: str, statuses: Sequence[RequestStatus] | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [generation_requests.c.user_id == user_id]
    if statuses is not None:
        conditions.append(generation_requests.c.status.in_(statuses))
    return conditions


@cache
def _by(key: Column[Any], *columns: Column[Any]) -> Prepared:
    return _with_key_in_ids(select(*columns), key)


@cache
def _images_by(key: Column[Any]) -> Prepared:
    # With their jobs: who asks how pictures come along wants both, and a second read is one more round trip.
    columns = *IMAGE_COLUMNS, *columns_of(Job, image_generation_jobs)
    return _with_key_in_ids(select(*columns).join_from(generated_images, image_generation_jobs), key)


def _with_key_in_ids(query: Select[Any], key: Column[Any]) -> Prepared:
    return Prepared(query.where(key.in_(bindparam("ids", expanding=True))))


async def _images(database: Database, key: Column[Any], ids: Sequence[str]) -> list[ImageWithJob]:
    return [_image(row) for row in await _rows(database, _images_by(key), ids)]


def _image(row: Sequence[Any]) -> ImageWithJob:
    width = len(IMAGE_COLUMNS)
    return ImageWithJob(*(*row[:width], Job(*row[width:])))


async def _rows(database: Database, query: Prepared, ids: Sequence[str]) -> Sequence[Any]:
    wanted = list(dict.fromkeys(ids))
    # What is prepared is kept for each number of ids; so these are few.
    wanted += wanted[-1:] * ((1 << (len(wanted) - 1).bit_length()) - len(wanted))
    return await database.read(query.bind({"ids": wanted}))


def _grouped(records: Iterable[R], key: Callable[[R], str]) -> Mapping[str, list[R]]:
    groups: defaultdict[str, list[R]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups


async def _page(
    database: Database, columns: Sequence[Any], table: Table, conditions: list[ColumnElement[bool]], window: Window
) -> Page[Any]:
    """Ids sort by time, so a cursor is an id, and the list runs from the greatest down."""
    bounds = list(conditions)
    if window.after is not None:
        bounds.append(table.c.id < window.after)
    if window.before is not None:
        bounds.append(table.c.id > window.before)
    order = table.c.id.asc() if window.from_end else table.c.id.desc()
    query = select(*columns).where(*bounds).order_by(order).limit(window.count + 1)
    async with database.reading() as connection:
        rows = list((await connection.execute(query)).all())
    more = len(rows) > window.count
    rows = rows[: window.count]
    if window.from_end:
        return Page(rows[::-1], window.before is not None, more)
    return Page(rows, more, window.after is not None)


async def _count(database: Database, table: Table, conditions: list[ColumnElement[bool]]) -> int:
    async with database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(table).where(*conditions)) or 0
