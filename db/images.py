"""The verbs of an image and its job: claim, complete, fail, retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from db.jobs import Lease, LeaseLost, end, take
from db.log import append, lock_request, lock_request_of_job, task_updated
from db.records import Image, Request, encode_failure
from db.refusal import Refusal, Refused
from db.requests import ACTIVE, IMAGE_COLUMNS, check_quota, owned, settled
from db.session import Database, Transaction
from db.slots import next_job
from db.tables import generated_images, image_generation_jobs
from events.clock import utc_now
from events.outcome import Failure
from events.status import IMAGE_MOVES, ImageStatus, JobStatus, RequestStatus
from events.types import EventData, ImageCompleted, ImageFailed, ImageGenerating


@dataclass(frozen=True, slots=True)
class ImageClaim:
    """An image to be drawn, and the lease on its job."""

    lease: Lease
    image_id: str
    index: int
    prompt: str


async def claim(
    database: Database, job_id: str, lease_seconds: float, seconds: float, most: int | None = None
) -> ImageClaim | None:
    """Take the job in hand, for `seconds` at most; None if it is not to be done, or not by this worker.

    Where the account may have only `most` jobs at once, it is the job whose turn it is, or none while no slot is free.
    """
    jobs = image_generation_jobs
    query = select(
        jobs,
        generated_images.c.index.label("image_index"),
        generated_images.c.prompt,
        generated_images.c.status.label("image_status"),
    ).join(generated_images, generated_images.c.id == jobs.c.image_id)
    async with database.transaction() as transaction:
        chosen = job_id if most is None else await next_job(transaction, jobs, most)
        request = None if chosen is None else await lock_request_of_job(transaction, jobs, chosen)
        if chosen is None or request is None:
            return None
        row = (await transaction.execute(query.where(jobs.c.id == chosen))).one()
        lease = await take(transaction, jobs, row, row.image_id, lease_seconds, seconds)
        if lease is None:
            return None
        if row.image_status is ImageStatus.PENDING:
            await _move(transaction, row.image_id, row.image_status, ImageStatus.GENERATING)
            await append(
                transaction,
                request,
                ImageGenerating(row.image_id, row.image_index, row.prompt),
                status=RequestStatus.IMAGE_GENERATING if request.status is RequestStatus.IMAGE_PENDING else None,
            )
    return ImageClaim(lease, row.image_id, row.image_index, row.prompt)


async def complete(database: Database, claim: ImageClaim, key: str) -> None:
    """The image is drawn and stored under `key`; raises `LeaseLost`."""
    now = utc_now()
    async with database.transaction() as transaction:
        request = await _locked(transaction, claim)
        await end(transaction, claim.lease, JobStatus.COMPLETED)
        await _move(
            transaction,
            claim.image_id,
            ImageStatus.GENERATING,
            ImageStatus.COMPLETED,
            key=key,
            completed_at=now,
            failure=None,
        )
        await _settle(transaction, request, ImageCompleted(claim.image_id, claim.index, key, now))


async def is_kept(database: Database, claim: ImageClaim) -> bool:
    """Whether the image's file is one of this claim."""
    async with database.reading() as connection:
        key: str | None = await connection.scalar(
            select(generated_images.c.key).where(generated_images.c.id == claim.image_id)
        )
    return key is not None and key.startswith(claim.lease.folder)


async def fail(database: Database, claim: ImageClaim, failure: Failure) -> None:
    """The image has failed for good; raises `LeaseLost`."""
    async with database.transaction() as transaction:
        request = await _locked(transaction, claim)
        await end(transaction, claim.lease, JobStatus.FAILED, failure)
        await _move(
            transaction, claim.image_id, ImageStatus.GENERATING, ImageStatus.FAILED, failure=encode_failure(failure)
        )
        await _settle(transaction, request, ImageFailed(claim.image_id, claim.index, failure.message))


async def retry(database: Database, user_id: str, image_id: str, limit: int) -> tuple[Image, str]:
    """Draw a failed image again; returns it with the id of the job to send. Raises `Refused`."""
    now = utc_now()
    not_found = Refused(Refusal.NOT_FOUND, "There is no such image.", ("input", "imageId"))
    jobs = image_generation_jobs
    async with database.transaction() as transaction:
        request_id = await transaction.connection.scalar(
            select(generated_images.c.request_id).where(generated_images.c.id == image_id)
        )
        if request_id is None:
            raise not_found
        try:
            request = await owned(transaction, user_id, request_id)
        except Refused:
            raise not_found from None
        if request.status is RequestStatus.CANCELLED:
            raise Refused(
                Refusal.REQUEST_CANCELLED, "The request is cancelled. Create a new one.", ("input", "imageId")
            )
        if request.status not in ACTIVE:
            await check_quota(transaction, user_id, limit)
        image = Image(
            *(await transaction.execute(select(*IMAGE_COLUMNS).where(generated_images.c.id == image_id))).one()
        )
        if image.status is not ImageStatus.FAILED:
            raise Refused(
                Refusal.IMAGE_NOT_FAILED,
                f"Only a failed image is generated again, and this one is {image.status}.",
                ("input", "imageId"),
            )
        await _move(transaction, image_id, ImageStatus.FAILED, ImageStatus.PENDING, failure=None)
        job_id = (await transaction.connection.scalars(select(jobs.c.id).where(jobs.c.image_id == image_id))).one()
        await transaction.execute(
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.status == JobStatus.FAILED)
            .values(
                status=JobStatus.PENDING,
                attempts=0,
                failure=None,
                available_at=now,
                sent_at=now,
                started_at=None,
                finished_at=None,
            )
        )
        ended = request.status in (RequestStatus.IMAGE_COMPLETED, RequestStatus.IMAGE_FAILED)
        if ended:
            pending = RequestStatus.IMAGE_PENDING
            await append(transaction, request, task_updated(pending), status=pending)
        retried = Image(
            *(await transaction.execute(select(*IMAGE_COLUMNS).where(generated_images.c.id == image_id))).one()
        )
    return retried, str(job_id)


async def _locked(transaction: Transaction, claim: ImageClaim) -> Request:
    request = await lock_request(transaction, claim.lease.request_id)
    if request is None:
        raise LeaseLost(claim.lease.job_id)
    return request


async def _move(transaction: Transaction, image_id: str, old: ImageStatus, new: ImageStatus, **values: Any) -> None:
    if new not in IMAGE_MOVES[old]:
        raise AssertionError(f"image {image_id}: {old} to {new}")
    result = await transaction.execute(
        update(generated_images)
        .where(generated_images.c.id == image_id, generated_images.c.status == old)
        .values(status=new, **values)
    )
    if result.rowcount != 1:
        raise LeaseLost(image_id)


async def _settle(transaction: Transaction, request: Request, ended: EventData) -> None:
    """Tell of an image's end, and of the request's if it was the last of the four."""
    images = list(
        await transaction.connection.scalars(
            select(generated_images.c.status).where(generated_images.c.request_id == request.id)
        )
    )
    status = settled(request.status, images)
    told = [ended] if status is None else [ended, task_updated(status)]
    await append(transaction, request, *told, status=status)
