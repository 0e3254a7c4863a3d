"""The verbs of a request: cancel, delete; how many a user may have; and settling it when its images have ended."""

from __future__ import annotations

from sqlalchemy import Select, delete, func, select, update

from db.files import give_up, request_prefix
from db.jobs import cancel as cancel_jobs
from db.log import append, lock_request, task_updated
from db.records import Request
from db.refusal import Refusal, Refused
from db.session import Database, Transaction
from db.tables import (
    generated_images,
    generation_requests,
    image_generation_jobs,
    model_generation_jobs,
    models,
    users,
)
from events.clock import utc_now
from events.status import PHASES, ImageStatus, JobStatus, ModelStatus, RequestPhase, RequestStatus

ACTIVE = tuple(
    status
    for status, phase in PHASES.items()
    if phase in (RequestPhase.IMAGE_GENERATION, RequestPhase.MODEL_GENERATION)
)
"""The statuses of a request whose images or model are under way."""


async def check_room(database: Database, user_id: str, limit: int) -> None:
    """Raise `Refused` if the user has `limit` requests under way, before anything is paid for a new one."""
    if limit == 0:
        return
    async with database.reading() as connection:
        _refuse_if_full(await connection.scalar(_active(user_id)), limit)


async def check_quota(transaction: Transaction, user_id: str, limit: int, retried: str | None = None) -> None:
    """Raise `Refused` if the user has `limit` requests under way. Two calls of one user wait for each other here.

    `retried` is the request that a picture is drawn again of. One that has a model stays as it is meanwhile: else
    any number of them could be drawn again at once.
    """
    if limit == 0:
        return
    # Of one who is there already, this changes nothing, and takes the lock.
    await transaction.upsert(users, "id", {"id": user_id, "created_at": utc_now()})
    under_way: int = await transaction.scalar(_active(user_id))
    if retried is not None:
        under_way += await transaction.scalar(_drawn_again(user_id, retried))
    _refuse_if_full(under_way, limit)


def _active(user_id: str) -> Select[int]:
    columns = generation_requests.c
    return select(func.count(columns.id)).where(columns.user_id == user_id, columns.status.in_(ACTIVE))


def _drawn_again(user_id: str, retried: str) -> Select[int]:
    """How many others there are that are not active, and have pictures under way."""
    jobs, columns = image_generation_jobs, generation_requests.c
    return (
        select(func.count(columns.id.distinct()))
        .join_from(jobs, generation_requests)
        .where(
            jobs.c.status.in_((JobStatus.PENDING, JobStatus.RUNNING)),
            columns.user_id == user_id,
            columns.status.not_in(ACTIVE),
            columns.id != retried,
        )
    )


def _refuse_if_full(active: int | None, limit: int) -> None:
    if active is not None and active >= limit:
        raise Refused(
            Refusal.QUOTA_EXCEEDED,
            f"Too many requests are under way ({active} of {limit}). Wait for one to finish, or cancel one.",
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
        for jobs in (image_generation_jobs, model_generation_jobs):
            await cancel_jobs(transaction, jobs, request_id)
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
    prefix = request_prefix(request_id)
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
