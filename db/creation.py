"""Creating requests, and claiming the images of those that this process begins at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Self

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.exc import IntegrityError

from db.images import ImageClaim
from db.jobs import UNCLAIMED, Terms, new_job, take_new
from db.log import REQUEST_COLUMNS, Entry, write_events
from db.records import Request, new_id, row_of
from db.refusal import Refusal, Refused
from db.requests import ACTIVE, check_quota
from db.session import Database, Transaction
from db.statements import Prepared
from db.tables import generated_images, generation_requests, image_generation_jobs, users
from events.clock import utc_now
from events.status import ImageStatus, RequestStatus
from events.types import ImageGenerating


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a user asks for. `prompt` and `variants`, one an image, are what the prompt provider made of it."""

    user_id: str
    original_prompt: str
    optimize_prompt: bool
    idempotency_key: str | None
    prompt: str
    variants: tuple[str, ...]
    id: str = field(default_factory=partial(new_id, "req"))


async def find_same(
    database: Database, user_id: str, idempotency_key: str, original_prompt: str, optimize_prompt: bool
) -> Request | None:
    """The request that was made with this key before; raises `Refused` if its input was another."""
    columns = generation_requests.c
    request = await _first(database, columns.user_id == user_id, columns.idempotency_key == idempotency_key)
    if request is None:
        return None
    if (request.original_prompt, request.optimize_prompt) != (original_prompt, optimize_prompt):
        raise Refused(
            Refusal.IDEMPOTENCY_CONFLICT,
            "This idempotency key was used with another input. Use a new key for a new request.",
            ("input", "idempotencyKey"),
        )
    return request


async def _first(database: Database, *conditions: ColumnElement[bool]) -> Request | None:
    async with database.reading() as connection:
        row = (await connection.execute(select(*REQUEST_COLUMNS).where(*conditions))).first()
    return None if row is None else Request(*row)


@dataclass(frozen=True, slots=True)
class Claiming:
    """How many `images` at most, of whole requests only, are claimed as they are created."""

    images: int
    terms: Terms


NO_CLAIMS = Claiming(0, Terms(0, 0))
Created = tuple[Request, list[str]]
"""A request as it was created, with the ids of its jobs that are to be sent."""


async def create(database: Database, new: NewRequest, limit: int, max_attempts: int) -> Created:
    """Write a request with its images and their jobs. Raises `Refused`.

    With an id or an idempotency key that is there already, the request that has it and no jobs.
    """
    try:
        async with database.transaction() as transaction:
            await check_quota(transaction, new.user_id, limit)
            made, _ = _insert(transaction, [new], max_attempts, NO_CLAIMS)
            return made[0]
    except (IntegrityError, Refused):
        # A shared transaction has written it, and the answer to its commit was lost. Or a key came twice at once: the
        # second one may meet the limit that the first has reached. What was claimed is taken over when its lease ends.
        same = await _first(database, generation_requests.c.id == new.id)
        if same is None and (key := new.idempotency_key) is not None:
            same = await find_same(database, new.user_id, key, new.original_prompt, new.optimize_prompt)
        if same is None:
            raise
        return same, []


async def create_together(
    database: Database, news: Sequence[NewRequest], limit: int, max_attempts: int, claiming: Claiming = NO_CLAIMS
) -> tuple[dict[int, Created], list[ImageClaim]]:
    """The same for several (see `GroupCommit`), but for those of users who are at their limit, locked, or new.

    Of what is claimed nothing is to be sent. Its requests are returned as all others are: pending, without an event.
    """
    async with database.transaction() as transaction:
        free = await _free_places(transaction, {new.user_id for new in news}, limit) if limit else None
        found = []
        for position, new in enumerate(news):
            if free is not None:
                free[new.user_id] = free.get(new.user_id, 0) - 1
            if free is None or free[new.user_id] >= 0:
                found.append(position)
        if not found:
            return {}, []
        made, claims = _insert(transaction, [news[position] for position in found], max_attempts, claiming)
    return dict(zip(found, made, strict=True)), claims


def _insert(
    transaction: Transaction, news: Sequence[NewRequest], max_attempts: int, claiming: Claiming
) -> tuple[list[Created], list[ImageClaim]]:
    now, room = utc_now(), claiming.images
    written: list[_Written] = []
    for new in news:
        one = _Written.of(new, now, max_attempts)
        if len(one.images) <= room:
            one.begin(claiming)
            room -= len(one.images)
        written.append(one)
    claims = [claim for one in written for claim in one.claims]
    jobs = [job for one in written for job in one.jobs]
    if claims:  # all rows of an insert have the same columns
        jobs = [{**UNCLAIMED, **job} for job in jobs]
    transaction.write(_INSERTS[generation_requests].bind(*(one.row for one in written)))
    transaction.write(_INSERTS[generated_images].bind(*(image for one in written for image in one.images)))
    transaction.write(_INSERTS[image_generation_jobs].bind(*jobs))
    if claims:
        write_events(transaction, [one.told() for one in written if one.claims], now)
    return [one.created() for one in written], claims


Row = dict[str, Any]


@dataclass(slots=True)
class _Written:
    """The rows of a request, and what of it is claimed."""

    request: Request
    row: Row
    images: list[Row]
    jobs: list[Row]
    claims: list[ImageClaim] = field(default_factory=list)

    @classmethod
    def of(cls, new: NewRequest, now: datetime, max_attempts: int) -> Self:
        request = Request(
            id=new.id,
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
        row = row_of(request) | {"idempotency_key": new.idempotency_key}
        images = [
            {"id": new_id("img"), "request_id": new.id, "index": index, "prompt": prompt, "status": ImageStatus.PENDING}
            for index, prompt in enumerate(new.variants)
        ]
        jobs = [new_job(new_id("job"), new.id, max_attempts, now) | {"image_id": image["id"]} for image in images]
        return cls(request, row, images, jobs)

    def begin(self, claiming: Claiming) -> None:
        """Have the rows be those of a request whose images are being drawn."""
        for image, job in zip(self.images, self.jobs, strict=True):
            image["status"] = ImageStatus.GENERATING
            lease = take_new(image_generation_jobs, job, image["id"], claiming.terms)
            self.claims.append(ImageClaim(lease, image["id"], image["index"], image["prompt"], None, False))
        self.row |= {"status": RequestStatus.IMAGE_GENERATING, "last_event_sequence": len(self.claims)}

    def told(self) -> Entry:
        """The first events of what is claimed."""
        begun = [ImageGenerating(claim.image_id, claim.index, claim.prompt) for claim in self.claims]
        return Entry(self.request, begun)

    def created(self) -> Created:
        return self.request, [] if self.claims else [job["id"] for job in self.jobs]


_INSERTS = {table: Prepared(insert(table)) for table in (generation_requests, generated_images, image_generation_jobs)}


async def _free_places(transaction: Transaction, user_ids: Collection[str], limit: int) -> dict[str, int]:
    """Lock users, and count how many requests each may still have under way. Left out is who is locked, or new."""
    locked = await transaction.scalars(
        select(users.c.id).where(users.c.id.in_(user_ids)).with_for_update(skip_locked=True)
    )
    counted = await transaction.execute(
        select(generation_requests.c.user_id, func.count())
        .where(generation_requests.c.user_id.in_(locked), generation_requests.c.status.in_(ACTIVE))
        .group_by(generation_requests.c.user_id)
    )
    active: dict[str, int] = dict(counted.all())
    return {user_id: limit - active.get(user_id, 0) for user_id in locked}
