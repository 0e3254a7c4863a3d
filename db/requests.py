"""The verbs of a request: create, cancel, delete; and settling it when its images have ended."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from db.files import give_up, request_folder
from db.jobs import cancel as cancel_jobs
from db.jobs import new_job
from db.log import REQUEST_COLUMNS, append, lock_request, task_updated
from db.records import Image, Request, columns_of, new_id
from db.refusal import Refusal, Refused
from db.session import Database, Transaction
from db.statements import Prepared
from db.tables import (
    generated_images,
    generation_requests,
    image_generation_jobs,
    model_generation_jobs,
    models,
    users,
)
from events.clock import utc_now
from events.status import PHASES, ImageStatus, ModelStatus, RequestPhase, RequestStatus

PROMPT_LENGTH = 2_000
IMAGE_COLUMNS = columns_of(Image, generated_images)
REQUEST_FIELDS = tuple(field.name for field in fields(Request))
ACTIVE = tuple(
    status
    for status, phase in PHASES.items()
    if phase in (RequestPhase.IMAGE_GENERATION, RequestPhase.MODEL_GENERATION)
)
"""The statuses of a request whose images or model are under way."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a user asks for. `prompt` and `variants`, one an image, are what the prompt provider made of it."""

    user_id: str
    original_prompt: str
    optimize_prompt: bool
    idempotency_key: str | None
    prompt: str
    variants: tuple[str, ...]


async def find_same(
    database: Database, user_id: str, idempotency_key: str, original_prompt: str, optimize_prompt: bool
) -> Request | None:
    """The request that was made with this key before; raises `Refused` if its input was another."""
    query = select(*REQUEST_COLUMNS).where(
        generation_requests.c.user_id == user_id, generation_requests.c.idempotency_key == idempotency_key
    )
    async with database.reading() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        return None
    request = Request(*row)
    if (request.original_prompt, request.optimize_prompt) != (original_prompt, optimize_prompt):
        raise Refused(
            Refusal.IDEMPOTENCY_CONFLICT,
            "This idempotency key was used with another input. Use a new key for a new request.",
            ("input", "idempotencyKey"),
        )
    return request


Created = tuple[Request, list[str]]
"""A request with the ids of its jobs that are to be sent."""


async def create(database: Database, new: NewRequest, limit: int, max_attempts: int) -> Created:
    """Write a request with its images and their jobs. Raises `Refused`.

    With an idempotency key that is there already, the request that has it and no jobs.
    """
    try:
        async with database.transaction() as transaction:
            await check_quota(transaction, new.user_id, limit)
            return _insert(transaction, [new], max_attempts)[0]
    except (IntegrityError, Refused):
        # The same key came twice at once: the second one may meet the limit that the first has reached.
        if new.idempotency_key is None:
            raise
        same = await find_same(database, new.user_id, new.idempotency_key, new.original_prompt, new.optimize_prompt)
        if same is None:
            raise
        return same, []


async def create_together(
    database: Database, limit: int, max_attempts: int, news: Sequence[NewRequest]
) -> dict[int, Created]:
    """The same for several (see `GroupCommit`), but for those of users who are at their limit, locked, or new."""
    async with database.transaction() as transaction:
        free = await _free_places(transaction, {new.user_id for new in news}, limit) if limit else None
        found = []
        for position, new in enumerate(news):
            if free is not None:
                free[new.user_id] = free.get(new.user_id, 0) - 1
            if free is None or free[new.user_id] >= 0:
                found.append(position)
        made = _insert(transaction, [news[position] for position in found], max_attempts) if found else []
    return dict(zip(found, made, strict=True))


def _insert(transaction: Transaction, news: Sequence[NewRequest], max_attempts: int) -> list[Created]:
    now = utc_now()
    requests, images, jobs = [], [], []
    made: list[Created] = []
    for new in news:
        request = Request(
            id=new_id("req"),
            user_id=new.user_id,
            original_prompt=new.original_prompt,
            prompt=new.prompt,
            optimize_prompt=new.optimize_prompt,
            status=RequestStatus.IMAGE_PENDING,
            selected_image_index=None,
            last_event_sequence=0,
            created_at=now,
            updated_at=now,
        )
        values = {name: getattr(request, name) for name in REQUEST_FIELDS}
        requests.append(values | {"idempotency_key": new.idempotency_key})
        made.append((request, []))
        for index, prompt in enumerate(new.variants):
            image_id, job_id = new_id("img"), new_id("job")
            image = {"id": image_id, "request_id": request.id, "index": index, "prompt": prompt}
            images.append(image | {"status": ImageStatus.PENDING})
            jobs.append(new_job(job_id, request.id, max_attempts, now) | {"image_id": image_id})
            made[-1][1].append(job_id)
    for table, rows in (
        (generation_requests, requests),
        (generated_images, images),
        (image_generation_jobs, jobs),
    ):
        transaction.write(_INSERTS[table].bind(*rows))
    return made


_INSERTS = {table: Prepared(insert(table)) for table in (generation_requests, generated_images, image_generation_jobs)}


async def _free_places(transaction: Transaction, user_ids: Collection[str], limit: int) -> dict[str, int]:
    """Lock users, and count how many requests each may still have under way. Left out is who is locked, or new."""
    locked = list(
        await transaction.connection.scalars(
            select(users.c.id).where(users.c.id.in_(user_ids)).with_for_update(skip_locked=True)
        )
    )
    counted = await transaction.execute(
        select(generation_requests.c.user_id, func.count())
        .where(generation_requests.c.user_id.in_(locked), generation_requests.c.status.in_(ACTIVE))
        .group_by(generation_requests.c.user_id)
    )
    active: dict[str, int] = dict(counted.all())
    return {user_id: limit - active.get(user_id, 0) for user_id in locked}


async def check_room(database: Database, user_id: str, limit: int) -> None:
    """Raise `Refused` if the user has `limit` requests under way, before anything is paid for a new one."""
    if limit == 0:
        return
    async with database.reading() as connection:
        _refuse_if_full(await connection.scalar(_active(user_id)), limit)


async def check_quota(transaction: Transaction, user_id: str, limit: int) -> None:
    """Raise `Refused` if the user has `limit` requests under way. Two calls of one user wait for each other here."""
    if limit == 0:
        return
    row = {"id": user_id, "created_at": utc_now()}
    if transaction.connection.dialect.name == "sqlite":
        await transaction.execute(sqlite_insert(users).values(row).on_conflict_do_nothing())
    else:
        # The update of a duplicate takes the row's lock, and changes nothing.
        await transaction.execute(mysql_insert(users).values(row).on_duplicate_key_update(id=users.c.id))
    _refuse_if_full(await transaction.connection.scalar(_active(user_id)), limit)


def _active(user_id: str) -> Select[int]:
    columns = generation_requests.c
    return select(func.count(columns.id)).where(columns.user_id == user_id, columns.status.in_(ACTIVE))


def _refuse_if_full(active: int | None, limit: int) -> None:
    if active is not None and active >= limit:
        raise Refused(
            Refusal.QUOTA_EXCEEDED,
            f"You have {active} requests under way, and {limit} is the limit. Wait for one to finish, or cancel one.",
        )


async def cancel(database: Database, user_id: str, request_id: str) -> Request:
    """Cancel what is under way; what is completed stays. Raises `Refused`."""
    async with database.transaction() as transaction:
        request = await owned(transaction, user_id, request_id)
        if request.status is RequestStatus.CANCELLED:
            raise Refused(Refusal.REQUEST_CANCELLED, "The request is cancelled already.", ("input", "requestId"))
        if request.status is RequestStatus.MODEL_COMPLETED:
            raise Refused(
                Refusal.ALREADY_FINISHED, "The model is finished; there is nothing to cancel.", ("input", "requestId")
            )
        for jobs, subject in (
            (image_generation_jobs, image_generation_jobs.c.image_id),
            (model_generation_jobs, model_generation_jobs.c.model_id),
        ):
            await cancel_jobs(transaction, jobs, subject, request_id)
        await transaction.execute(
            update(generated_images)
            .where(
                generated_images.c.request_id == request_id,
                generated_images.c.status.in_((ImageStatus.PENDING, ImageStatus.GENERATING)),
            )
            .values(status=ImageStatus.CANCELLED)
        )
        await transaction.execute(
            update(models)
            .where(
                models.c.request_id == request_id, models.c.status.in_((ModelStatus.PENDING, ModelStatus.GENERATING))
            )
            .values(status=ModelStatus.CANCELLED, stage=None)
        )
        return append(transaction, request, task_updated(RequestStatus.CANCELLED), status=RequestStatus.CANCELLED)


async def remove(database: Database, user_id: str, request_id: str) -> str:
    """Delete a request with all its rows; returns the prefix of the files that are to be deleted. Raises `Refused`.

    The prefix is kept until its files are gone (`db.files`).
    """
    prefix = request_folder(request_id)
    async with database.transaction() as transaction:
        await owned(transaction, user_id, request_id)
        await give_up(transaction, prefix)
        await transaction.execute(delete(generation_requests).where(generation_requests.c.id == request_id))
        transaction.deleted.append(request_id)
    return prefix


async def owned(transaction: Transaction, user_id: str, request_id: str) -> Request:
    """Lock a request of a user; to anyone else it does not exist."""
    request = await lock_request(transaction, request_id)
    if request is None or request.user_id != user_id:
        raise Refused(Refusal.NOT_FOUND, "There is no such request.", ("input", "requestId"))
    return request


def settled(status: RequestStatus, images: list[ImageStatus]) -> RequestStatus | None:
    """Where a request goes when the last of its images has ended; None if it stays.

    Once an image is selected, the others no longer touch the request.
    """
    if status not in (RequestStatus.IMAGE_PENDING, RequestStatus.IMAGE_GENERATING):
        return None
    if any(image in (ImageStatus.PENDING, ImageStatus.GENERATING) for image in images):
        return None
    return RequestStatus.IMAGE_COMPLETED if ImageStatus.COMPLETED in images else RequestStatus.IMAGE_FAILED
