"""The verbs of an image and its job: claim, complete, fail, retry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, case, select, update

from db.jobs import NOT_SUBMITTED, Lease, LeaseLost, Terms, columns_to_take, end, lock_request_of, take
from db.log import Entry, append, append_all, lock_request_of_job, task_updated
from db.queries import image_in
from db.records import ImageWithJob, Request, RequestHead, encode_failure
from db.refusal import Refusal, Refused
from db.requests import ACTIVE, check_quota, owned, settled
from db.session import Database, Transaction
from db.slots import next_job
from db.statements import Prepared
from db.tables import generated_images, generation_requests, image_generation_jobs
from events.clock import utc_now
from events.outcome import Failure
from events.status import IMAGE_MOVES, ImageStatus, JobStatus, RequestStatus, check_move
from events.types import EventData, ImageCompleted, ImageFailed, ImageGenerating


@dataclass(frozen=True, slots=True)
class ImageClaim:
    """An image to be drawn, and the lease on its job. `provider_job_id` and `submit_begun` are as in `ModelClaim`."""

    lease: Lease
    image_id: str
    index: int
    prompt: str
    provider_job_id: str | None
    submit_begun: bool


@cache
def _drawings(lock: bool) -> Prepared:
    """Jobs with their images and their requests' heads; with `lock`, those of which nobody has locked anything."""
    head = generation_requests.c
    query = (
        select(
            *columns_to_take(image_generation_jobs),
            generated_images.c.index.label("image_index"),
            generated_images.c.prompt,
            generated_images.c.status.label("image_status"),
            head.user_id,
            head.status.label("request_status"),
            head.last_event_sequence,
        )
        .join(generated_images, generated_images.c.id == image_generation_jobs.c.image_id)
        .join(generation_requests, head.id == image_generation_jobs.c.request_id)
        .where(image_generation_jobs.c.id.in_(bindparam("job_ids", expanding=True)))
    )
    return Prepared(query.with_for_update(skip_locked=True) if lock else query)


Told = defaultdict[str, list[EventData]]
"""What a transaction tells of each request."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An image that is drawn, and stored under `key`."""

    claim: ImageClaim
    key: str


async def claim(database: Database, job_id: str, terms: Terms, most: int | None = None) -> ImageClaim | None:
    """Take the job in hand; None if it is not to be done, or not by this worker.

    Where the account may have only `most` jobs at once, it is the job whose turn it is, or none while no slot is free.
    """
    async with database.transaction() as transaction:
        chosen = job_id if most is None else await next_job(transaction, image_generation_jobs, most)
        if chosen is None:
            return None
        request = await lock_request_of_job(transaction, image_generation_jobs, chosen)
        if request is None:
            return None
        rows, told = await transaction.read(_drawings(lock=False).bind({"job_ids": [chosen]})), Told(list)
        claims = await _claim(transaction, rows, terms, told)
        await _tell(transaction, {request.id: request}, told)
    return claims.get(chosen)


async def complete(database: Database, drawn: Drawn) -> None:
    """The image is there; raises `LeaseLost`."""
    async with database.transaction() as transaction:
        request, told = await lock_request_of(transaction, drawn.claim.lease), Told(list)
        await _complete(transaction, [drawn], told)
        await _tell(transaction, {request.id: request}, told)


async def write_together(
    database: Database, terms: Terms, items: Sequence[str | Drawn]
) -> dict[int, ImageClaim | None]:
    """Claim jobs and complete images in one transaction (see `GroupCommit`); raises `LeaseLost` for any of them.

    It waits for no lock, so it may take those of jobs together with those of their requests.
    """
    job_ids = [item if isinstance(item, str) else item.claim.lease.job_id for item in items]
    async with database.transaction() as transaction:
        rows = await transaction.read(_drawings(lock=True).bind({"job_ids": job_ids}))
        requests = {
            row.request_id: RequestHead(row.request_id, row.user_id, row.request_status, row.last_event_sequence)
            for row in rows
        }
        locked, told = {row.id: row for row in rows}, Told(list)
        drawn = [item for item in items if isinstance(item, Drawn) and item.claim.lease.job_id in locked]
        await _complete(transaction, drawn, told)
        wanted = dict.fromkeys(item for item in items if isinstance(item, str) and item in locked)
        claims = await _claim(transaction, [locked[job_id] for job_id in wanted], terms, told)
        await _tell(transaction, requests, told)
    written: dict[int, ImageClaim | None] = {items.index(item): None for item in drawn}
    # Of messages of the same job, the first one has it.
    return written | {items.index(job_id): claims.get(job_id) for job_id in wanted}


async def _claim(transaction: Transaction, rows: Sequence[Any], terms: Terms, told: Told) -> dict[str, ImageClaim]:
    """Claim those of the jobs that are to be done; the caller has locked their requests."""
    leases = await take(transaction, image_generation_jobs, rows, terms)
    taken = [row for row in rows if row.id in leases]
    begun = [row for row in taken if row.image_status is ImageStatus.PENDING]
    if begun:
        _move(transaction, [row.subject_id for row in begun], ImageStatus.PENDING, ImageStatus.GENERATING)
    for row in begun:
        told[row.request_id].append(ImageGenerating(row.subject_id, row.image_index, row.prompt))
    return {
        row.id: ImageClaim(
            leases[row.id],
            row.subject_id,
            row.image_index,
            row.prompt,
            row.provider_job_id,
            row.submit_begun_at is not None,
        )
        for row in taken
    }


async def _complete(transaction: Transaction, drawn: Sequence[Drawn], told: Told) -> None:
    if not drawn:
        return
    now = utc_now()
    await end(transaction, *(item.claim.lease for item in drawn), status=JobStatus.COMPLETED)
    _move(
        transaction,
        [item.claim.image_id for item in drawn],
        ImageStatus.GENERATING,
        ImageStatus.COMPLETED,
        [item.key for item in drawn],
        completed_at=now,
        failure=None,
    )
    for item in drawn:
        told[item.claim.lease.request_id].append(ImageCompleted(item.claim.image_id, item.claim.index, item.key, now))


async def is_kept(database: Database, claim: ImageClaim) -> bool:
    """Whether the image's file is one of this claim."""
    async with database.reading() as connection:
        key: str | None = await connection.scalar(
            select(generated_images.c.key).where(generated_images.c.id == claim.image_id)
        )
    return key is not None and key.startswith(claim.lease.prefix)


async def fail(database: Database, claim: ImageClaim, failure: Failure) -> None:
    """The image has failed for good; raises `LeaseLost`."""
    async with database.transaction() as transaction:
        request = await lock_request_of(transaction, claim.lease)
        await end(transaction, claim.lease, status=JobStatus.FAILED, failure=failure)
        _move(
            transaction, [claim.image_id], ImageStatus.GENERATING, ImageStatus.FAILED, failure=encode_failure(failure)
        )
        told = Told(list, {request.id: [ImageFailed(claim.image_id, claim.index, failure.message)]})
        await _tell(transaction, {request.id: request}, told)


async def retry(database: Database, user_id: str, image_id: str, limit: int) -> ImageWithJob:
    """Draw a failed image again; returns it with the job to send. Raises `Refused`."""
    now, jobs = utc_now(), image_generation_jobs
    async with database.transaction() as transaction:
        request = await _request_of_failed(transaction, user_id, image_id, limit)
        _move(transaction, [image_id], ImageStatus.FAILED, ImageStatus.PENDING, failure=None)
        await transaction.execute(
            update(jobs)
            .where(jobs.c.image_id == image_id, jobs.c.status == JobStatus.FAILED)
            .values(
                status=JobStatus.PENDING,
                attempts=0,
                failure=None,
                available_at=now,
                sent_at=now,
                started_at=None,
                finished_at=None,
                **NOT_SUBMITTED,
            )
        )
        if request.status in (RequestStatus.IMAGE_COMPLETED, RequestStatus.IMAGE_FAILED):
            pending = RequestStatus.IMAGE_PENDING
            append(transaction, request, task_updated(pending), status=pending)
        return await image_in(transaction, image_id)


async def _request_of_failed(transaction: Transaction, user_id: str, image_id: str, limit: int) -> Request:
    """The request of an image that may be tried again, locked. Raises `Refused`."""
    not_found = Refused(Refusal.NOT_FOUND, "There is no such image.", ("input", "imageId"))
    of_image = generated_images.c.id == image_id
    request_id = await transaction.scalar(select(generated_images.c.request_id).where(of_image))
    if request_id is None:
        raise not_found
    try:
        request = await owned(transaction, user_id, request_id)
    except Refused:
        raise not_found from None
    if request.status is RequestStatus.CANCELLED:
        raise Refused(Refusal.REQUEST_CANCELLED, "The request is cancelled. Create a new one.", ("input", "imageId"))
    if request.status not in ACTIVE:
        await check_quota(transaction, user_id, limit, request.id)
    status = await transaction.scalar(select(generated_images.c.status).where(of_image))
    if status is not ImageStatus.FAILED:
        raise Refused(
            Refusal.IMAGE_NOT_FAILED,
            f"Only a failed image is generated again, and this one is {status}.",
            ("input", "imageId"),
        )
    return request


def _move(
    transaction: Transaction,
    image_ids: Sequence[str],
    old: ImageStatus,
    new: ImageStatus,
    keys: Sequence[str] = (),
    **values: Any,
) -> None:
    check_move(IMAGE_MOVES, old, new, image_ids)
    values |= {f"image_{n}": image_id for n, image_id in enumerate(image_ids[: len(keys)])}
    values |= {f"key_{n}": key for n, key in enumerate(keys)}
    transaction.write(
        _moving(len(keys)).bind({"image_ids": image_ids, "old": old, "status": new, **values}),
        len(image_ids),
        LeaseLost(", ".join(image_ids)),
    )


@cache
def _moving(keys: int) -> Prepared:
    """Sets the columns for which there are parameters, and the key of `image_0` to `key_0` and so on."""
    columns = generated_images.c
    statement = update(generated_images).where(
        columns.id.in_(bindparam("image_ids", expanding=True)), columns.status == bindparam("old")
    )
    pairs = [
        (columns.id == bindparam(f"image_{n}"), bindparam(f"key_{n}", type_=columns.key.type)) for n in range(keys)
    ]
    return Prepared(statement.values(key=case(*pairs)) if pairs else statement)


_STATUSES = Prepared(
    select(generated_images.c.request_id, generated_images.c.status).where(
        generated_images.c.request_id.in_(bindparam("request_ids", expanding=True))
    )
)


async def _tell(transaction: Transaction, requests: Mapping[str, RequestHead], told: Told) -> None:
    """Tell of images that began and ended, and of the requests whose last ones these were."""
    ended = [
        request_id
        for request_id, events in told.items()
        if any(isinstance(event, ImageCompleted | ImageFailed) for event in events)
    ]
    statuses: defaultdict[str, list[ImageStatus]] = defaultdict(list)
    if ended:
        for request_id, image_status in await transaction.read(_STATUSES.bind({"request_ids": ended})):
            statuses[request_id].append(image_status)
    entries = []
    for request_id, events in told.items():
        request = requests[request_id]
        if request_id in ended and (status := settled(request.status, statuses[request_id])):
            entries.append(Entry(request, [*events, task_updated(status)], status))
        elif request.status is RequestStatus.IMAGE_PENDING:
            entries.append(Entry(request, events, RequestStatus.IMAGE_GENERATING))
        else:
            entries.append(Entry(request, events))
    if entries:
        append_all(transaction, entries)
