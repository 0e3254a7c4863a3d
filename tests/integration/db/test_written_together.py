"""Verbs that share a transaction: as each alone would have done it, without waiting for anybody's lock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db import creation, images, requests
from db.creation import Claiming
from db.group_commit import GroupCommit
from db.images import Drawn, ImageClaim
from db.jobs import LeaseLost
from db.log import lock_request
from db.session import Database
from db.tables import generated_images, generation_requests, image_generation_jobs, users
from events.status import ImageStatus, RequestStatus
from events.types import ImageCompleted, ImageGenerating, TaskUpdated
from settings import Settings
from tasks.creating import Creating
from tests.rows import (
    TERMS,
    ForgetfulDatabase,
    Told,
    claim_image,
    create,
    history,
    new_request,
    request_of,
    rows,
    sqlite_url,
)

together = partial(images.write_together, terms=TERMS)


async def test_claims_and_completions_of_several_requests(database: Database, told: Told):
    first, first_jobs = await create(database)
    second, second_jobs = await create(database)
    claims = await together(database, items=[*first_jobs, *second_jobs])
    assert sorted(claims) == list(range(8))
    assert [event.sequence for event in told.events if event.request_id == first] == [1, 2, 3, 4]
    taken = [claims[position] for position in range(8)]
    mine = [Drawn(claim, f"{claim.lease.prefix}.png") for claim in taken if claim is not None]
    assert await together(database, items=[*mine[:4], mine[5]]) == dict.fromkeys(range(5))
    assert (await request_of(database, first)).status is RequestStatus.IMAGE_COMPLETED
    assert (await request_of(database, second)).status is RequestStatus.IMAGE_GENERATING
    assert [type(event.data) for event in await history(database, first)] == (
        [ImageGenerating] * 4 + [ImageCompleted] * 4 + [TaskUpdated]
    )
    kept = {image.id: image.key for image in await rows(database, generated_images)}
    assert [kept[drawn.claim.image_id] for drawn in mine[:4]] == [drawn.key for drawn in mine[:4]]
    assert kept[mine[4].claim.image_id] is None


async def test_one_image_ends_while_another_begins(database: Database):
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    written = await together(database, items=[Drawn(claim, "a.png"), job_ids[1]])
    assert written[0] is None
    assert written[1] is not None
    events = await history(database, request_id)
    assert [(event.sequence, type(event.data)) for event in events] == [
        (1, ImageGenerating),
        (2, ImageCompleted),
        (3, ImageGenerating),
    ]


async def test_a_job_that_is_asked_for_twice_is_claimed_once(database: Database):
    _, job_ids = await create(database)
    assert list(await together(database, items=[job_ids[0], job_ids[0]])) == [0]
    assert await together(database, items=[job_ids[0]]) == {0: None}


async def test_a_lost_lease_takes_nobody_along(database: Database):
    cancelled, cancelled_jobs = await create(database)
    _, job_ids = await create(database)
    lost = Drawn(await claim_image(database, cancelled_jobs[0]), "lost.png")
    good = Drawn(await claim_image(database, job_ids[0]), "good.png")
    await requests.cancel(database, "ann", cancelled)
    with pytest.raises(LeaseLost):
        await together(database, items=[good, lost])
    group = GroupCommit[Drawn, None](
        lambda items: together(database, items=items),  # type: ignore[arg-type, return-value]  # completions alone
        partial(images.complete, database),
        gathering=0,
    )
    outcomes = await asyncio.gather(group(good), group(lost), return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], LeaseLost)
    found = {image.id: (image.status, image.key) for image in await rows(database, generated_images)}
    assert found[good.claim.image_id] == (ImageStatus.COMPLETED, "good.png")
    assert found[lost.claim.image_id] == (ImageStatus.CANCELLED, None)


async def test_what_is_locked_is_left_out_at_once(on_mariadb: Database):
    locked, locked_jobs = await create(on_mariadb)
    _, job_ids = await create(on_mariadb)
    async with on_mariadb.transaction() as elsewhere:
        await lock_request(elsewhere, locked)
        async with asyncio.timeout(5):
            assert list(await together(on_mariadb, items=[locked_jobs[0], job_ids[0]])) == [1]
    assert list(await together(on_mariadb, items=[locked_jobs[0]])) == [0]


async def test_creating_together_keeps_to_each_users_limit(database: Database):
    await creation.create(database, new_request("ann"), 3, 3)
    await creation.create(database, new_request("ben"), 3, 3)
    news = [new_request(user) for user in ("ann", "ann", "ann", "ben", "carl")]
    # Carl is new: his row, which is the lock, is not there yet.
    assert list((await creation.create_together(database, news, 3, 3))[0]) == [0, 1, 3]
    assert len(await rows(database, generation_requests)) == 5
    more = [new_request(user) for user in ("ann", "ann", "carl")]
    assert list((await creation.create_together(database, more, 0, 3))[0]) == [0, 1, 2]


async def test_a_user_who_is_locked_holds_up_nobody(on_mariadb: Database):
    for user in ("ann", "ben"):
        await creation.create(on_mariadb, new_request(user), 3, 3)
    async with on_mariadb.transaction() as elsewhere:
        await elsewhere.execute(users.select().where(users.c.id == "ann").with_for_update())
        async with asyncio.timeout(5):
            made, _ = await creation.create_together(on_mariadb, [new_request("ann"), new_request("ben")], 3, 3)
    assert list(made) == [1]


async def test_the_first_requests_may_be_claimed_as_they_are_created(database: Database, told: Told):
    claiming = Claiming(9, TERMS)
    made, claims = await creation.create_together(database, [new_request() for _ in range(3)], 0, 3, claiming)
    assert [len(job_ids) for _, job_ids in made.values()] == [0, 0, 4], "what is claimed is not sent"
    assert {(request.status, request.last_event_sequence) for request, _ in made.values()} == {
        (RequestStatus.IMAGE_PENDING, 0)
    }
    _, job_ids = await create(database)
    later = [await claim_image(database, job_id) for job_id in job_ids]
    begun = [request.id for request, _ in made.values()][:2]
    assert [claim.lease.request_id for claim in claims] == [name for name in begun for _ in range(4)]
    for request_id in begun:
        [row] = [row for row in await rows(database, generation_requests) if row.id == request_id]
        assert (row.status, row.last_event_sequence) == (RequestStatus.IMAGE_GENERATING, 4)
        assert [(event.sequence, type(event.data)) for event in await history(database, request_id)] == [
            (number, ImageGenerating) for number in range(1, 5)
        ]
    happened = [event for message in told for event in message.events if event.request_id in begun]
    assert happened == [event for request_id in begun for event in await history(database, request_id)]
    # As if they had been claimed afterwards.
    same = [kept_of(claim, await rows(database, image_generation_jobs)) for claim in claims]
    assert same == [kept_of(claim, await rows(database, image_generation_jobs)) for claim in later] * 2
    assert await together(database, items=[claims[0].lease.job_id]) == {0: None}, "it is in hand"
    for claim in claims:
        await images.complete(database, Drawn(claim, f"{claim.image_id}.png"))
    assert {(await request_of(database, name)).status for name in begun} == {RequestStatus.IMAGE_COMPLETED}


def kept_of(claim: ImageClaim, jobs: Sequence[Any]) -> tuple[Any, ...]:
    """What a claim and its job's row have in common with those of other jobs."""
    [job] = [job for job in jobs if job.id == claim.lease.job_id]
    assert (job.lease_token, job.deadline_at) == (claim.lease.token, claim.lease.deadline_at)
    assert claim.lease.prefix.endswith(claim.lease.token)
    lasts = job.lease_expires_at - job.started_at, job.deadline_at - job.started_at
    unfailed = job.failure, job.finished_at, job.provider_job_id, job.submit_begun_at
    return claim.index, claim.prompt, claim.lease.attempt, job.status, job.attempts, job.max_attempts, lasts, unfailed


@pytest.mark.parametrize("limit", [0, 4])
async def test_a_request_whose_commit_was_not_answered_is_created_once(tmp_path: Path, limit: int):
    database = ForgetfulDatabase(sqlite_url(tmp_path), Told().append)
    creating = Creating(Settings(_env_file=None, max_active_requests=limit), database)
    await creating(new_request())
    database.breaks = 1
    created = await asyncio.gather(*(creating(new_request()) for _ in range(3)))
    found = {row.id for row in await rows(database, generation_requests)}
    assert len(found) == 4
    assert {request.id for request, _ in created} < found
    await database.aclose()
