"""The verbs, each alone and against each other, on both kinds of database."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from db import creation, images, jobs, lost, models, requests
from db.images import Drawn
from db.jobs import Lease, LeaseLost
from db.queries import files_of_models
from db.records import encode_failure
from db.refusal import Refusal, Refused
from db.secrets import shared_secret
from db.session import Database
from db.tables import events, file_deletions, generated_images, generation_requests, metadata, users
from db.tables import models as model_table
from events.bus import Deleted, Happened
from events.clock import utc_now
from events.outcome import Failure, FailureCode
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestStatus
from tests.rows import (
    FAILURE,
    IMAGE_JOBS,
    LEASE_SECONDS,
    MODEL_JOBS,
    REPORT,
    TERMS,
    Told,
    abandon,
    claim_image,
    claim_model,
    create,
    draw,
    drawn,
    expire,
    fail_image,
    files_of,
    finish_model,
    finished,
    history,
    new_request,
    request_of,
    row,
    rows,
    select_image,
    write,
)
from tests.waiting import until

BUSY = Failure(FailureCode.PROVIDER_BUSY, "Too much to do.", retryable=True)


async def test_creating_writes_everything_and_tells_nothing(database: Database, told: Told):
    request, job_ids = await creation.create(database, new_request(prompt="a 猫 🦉"), 0, 3)
    assert await request_of(database, request.id) == request
    assert (request.prompt, request.original_prompt) == ("a 猫 🦉, printable", "a 猫 🦉")
    found = sorted(await rows(database, generated_images), key=lambda image: image.index)
    assert [(image.index, image.status) for image in found] == [(index, ImageStatus.PENDING) for index in range(4)]
    for job_id, image in zip(job_ids, found, strict=True):
        job = await row(database, IMAGE_JOBS, id=job_id)
        assert (job.image_id, job.status, job.attempts, job.max_attempts) == (image.id, JobStatus.PENDING, 0, 3)
    assert told == []


async def test_a_claim_is_exclusive(database: Database):
    request_id, job_ids = await create(database)
    taken = await asyncio.gather(*(images.claim(database, job_ids[0], TERMS) for _ in range(16)))
    assert len([claim for claim in taken if claim]) == 1
    job_id = await select_image(database, await drawn(database))
    made = await asyncio.gather(*(models.claim(database, job_id, TERMS) for _ in range(16)))
    assert len([claim for claim in made if claim]) == 1
    assert [event.name for event in await history(database, request_id)] == ["image:generating"]


async def test_a_silent_worker_is_taken_over_by_one(database: Database):
    _, job_ids = await create(database)
    first = await claim_image(database, job_ids[0])
    assert await images.claim(database, job_ids[0], TERMS) is None
    await abandon(database, IMAGE_JOBS, job_ids[0], ago=600)
    silent = await row(database, IMAGE_JOBS, id=job_ids[0])
    before = utc_now()
    taken = await asyncio.gather(*(images.claim(database, job_ids[0], TERMS) for _ in range(16)))
    [second] = [claim for claim in taken if claim]
    after = utc_now()
    assert second.lease.attempt == first.lease.attempt == 1
    assert second.lease.token != first.lease.token
    remaining = silent.deadline_at - silent.lease_expires_at
    assert before + remaining <= second.lease.deadline_at <= after + remaining
    with pytest.raises(LeaseLost):
        await images.complete(database, Drawn(first, "late.png"))
    await images.complete(database, Drawn(second, "good.png"))
    assert (await row(database, generated_images, id=second.image_id)).key == "good.png"


async def test_a_take_over_of_a_model_goes_on_where_it_stood(database: Database):
    job_id = await select_image(database, await drawn(database))
    first = await claim_model(database, job_id)
    assert (first.submit_begun, first.provider_job_id) == (False, None)
    assert (first.progress, first.stage) == (0, ModelStage.GENERATING)
    assert (await row(database, model_table, id=first.model_id)).stage is ModelStage.GENERATING
    await jobs.begin_submit(database, first.lease)
    await abandon(database, MODEL_JOBS, job_id)
    second = await claim_model(database, job_id)
    assert (second.submit_begun, second.provider_job_id) == (True, None)
    await jobs.note_submitted(database, second.lease, "their-7")
    await models.report_progress(database, second, 40, ModelStage.DOWNLOADING, estimated=False)
    await abandon(database, MODEL_JOBS, job_id)
    third = await claim_model(database, job_id)
    assert (third.submit_begun, third.provider_job_id) == (True, "their-7")
    assert (third.progress, third.stage) == (40, ModelStage.DOWNLOADING)
    assert third.started_at == first.started_at or third.started_at - first.started_at < timedelta(seconds=1)
    await jobs.forget_submit(database, third.lease)
    await jobs.give_back(database, third.lease)
    fourth = await claim_model(database, job_id)
    assert (fourth.submit_begun, fourth.provider_job_id) == (False, None)


async def test_a_take_over_of_an_image_goes_on_where_it_stood(database: Database):
    _, job_ids = await create(database)
    first = await claim_image(database, job_ids[0])
    assert (first.submit_begun, first.provider_job_id) == (False, None)
    await jobs.begin_submit(database, first.lease)
    await abandon(database, IMAGE_JOBS, job_ids[0])
    written = await images.write_together(database, TERMS, job_ids[:2])
    second, other = written[0], written[1]
    assert second
    assert other
    assert (second.submit_begun, second.provider_job_id) == (True, None)
    assert (other.submit_begun, other.provider_job_id) == (False, None)
    await jobs.note_submitted(database, second.lease, "their-7")
    await jobs.back_off(database, second.lease, FAILURE, 0, counts=True)
    third = await claim_image(database, job_ids[0])
    assert (third.submit_begun, third.provider_job_id) == (True, "their-7")
    await jobs.forget_submit(database, third.lease)
    await jobs.give_back(database, third.lease)
    fourth = await claim_image(database, job_ids[0])
    assert (fourth.submit_begun, fourth.provider_job_id) == (False, None)


async def test_an_image_that_the_user_retries_is_submitted_anew(database: Database):
    _, job_ids = await create(database)
    gone = await claim_image(database, job_ids[0])
    await jobs.begin_submit(database, gone.lease)
    slow = await claim_image(database, job_ids[1])
    await jobs.begin_submit(database, slow.lease)
    await jobs.note_submitted(database, slow.lease, "their-7")
    for claim in (gone, slow):
        await images.fail(database, claim, FAILURE)
        await images.retry(database, "ann", claim.image_id, 0)
        again = await claim_image(database, claim.lease.job_id)
        assert (again.submit_begun, again.provider_job_id) == (False, None)
        assert (await row(database, IMAGE_JOBS, id=claim.lease.job_id)).submitted_at is None


async def snapshot(database: Database) -> dict[str, list[object]]:
    return {table.name: sorted(map(tuple, await rows(database, table)), key=repr) for table in metadata.sorted_tables}


async def test_a_stale_token_changes_nothing(database: Database, told: Told):
    _, job_ids = await create(database)
    stale = await claim_image(database, job_ids[0])
    await abandon(database, IMAGE_JOBS, job_ids[0])
    await claim_image(database, job_ids[0])
    done = await claim_image(database, job_ids[1])
    await images.complete(database, Drawn(done, "done.png"))
    cancelled_id, cancelled_jobs = await create(database)
    cancelled = await claim_image(database, cancelled_jobs[0])
    await requests.cancel(database, "ann", cancelled_id)
    deleted_id, deleted_jobs = await create(database)
    deleted = await claim_image(database, deleted_jobs[0])
    await requests.remove(database, "ann", deleted_id)
    before, heard = await snapshot(database), len(told)
    for claim in (stale, done, cancelled, deleted):
        for write_with in (
            lambda claim: jobs.renew(database, claim.lease, LEASE_SECONDS),
            lambda claim: jobs.back_off(database, claim.lease, FAILURE, 5, counts=True),
            lambda claim: jobs.give_back(database, claim.lease),
            lambda claim: jobs.begin_submit(database, claim.lease),
            lambda claim: jobs.note_submitted(database, claim.lease, "their-1"),
            lambda claim: jobs.forget_submit(database, claim.lease),
            lambda claim: images.complete(database, Drawn(claim, "late.png")),
            lambda claim: images.fail(database, claim, FAILURE),
        ):
            with pytest.raises(LeaseLost):
                await write_with(claim)
    assert await snapshot(database) == before
    assert len(told) == heard


async def test_a_stale_token_changes_nothing_of_a_model(database: Database, told: Told):
    job_id = await select_image(database, await drawn(database))
    stale = await claim_model(database, job_id)
    await abandon(database, MODEL_JOBS, job_id)
    await claim_model(database, job_id)
    before, heard = await snapshot(database), len(told)
    for write_with in (
        lambda: jobs.begin_submit(database, stale.lease),
        lambda: jobs.note_submitted(database, stale.lease, "their-1"),
        lambda: jobs.forget_submit(database, stale.lease),
        lambda: models.report_progress(database, stale, 50, ModelStage.GENERATING, True),
        lambda: finish_model(database, stale),
        lambda: models.fail(database, stale, FAILURE),
        lambda: jobs.give_back(database, stale.lease),
    ):
        with pytest.raises(LeaseLost):
            await write_with()
    assert await snapshot(database) == before
    assert len(told) == heard


async def test_backing_off_waits_and_counts(database: Database):
    _, job_ids = await create(database)
    await jobs.back_off(database, (await claim_image(database, job_ids[0])).lease, FAILURE, 60, counts=True)
    job = await row(database, IMAGE_JOBS, id=job_ids[0])
    assert (job.status, job.attempts) == (JobStatus.PENDING, 1)
    assert timedelta(seconds=55) < job.available_at - utc_now() <= timedelta(seconds=60)
    assert await images.claim(database, job_ids[0], TERMS) is None
    await jobs.back_off(database, (await claim_image(database, job_ids[1])).lease, BUSY, 0, counts=False)
    assert (await row(database, IMAGE_JOBS, id=job_ids[1])).attempts == 0
    again = await claim_image(database, job_ids[1])
    assert again.lease.attempt == 1


async def test_a_claim_that_waited_for_the_lock_sees_what_happened_meanwhile(on_mariadb: Database):
    """Claimed and backed off before the lock is there. SQLite has one writer: nothing happens in between."""
    database = on_mariadb
    request_id, job_ids = await create(database)
    async with database.transaction() as transaction:
        await transaction.execute(
            generation_requests.select().where(generation_requests.c.id == request_id).with_for_update()
        )
        late = asyncio.create_task(images.claim(database, job_ids[0], TERMS))
        await until(lambda: waits_for_a_lock(database))
        await transaction.execute(
            IMAGE_JOBS.update()
            .where(IMAGE_JOBS.c.id == job_ids[0])
            .values(attempts=1, available_at=utc_now() + timedelta(seconds=60), failure=encode_failure(FAILURE))
        )
    assert await late is None
    assert (await row(database, IMAGE_JOBS, id=job_ids[0])).attempts == 1


async def test_a_cancel_does_not_wait_for_jobs_of_other_requests(on_mariadb: Database):
    (first, first_jobs), (_, second_jobs) = await create(on_mariadb), await create(on_mariadb)
    await claim_image(on_mariadb, first_jobs[0])
    await claim_image(on_mariadb, second_jobs[0])
    async with on_mariadb.transaction() as transaction:
        await transaction.execute(IMAGE_JOBS.select().where(IMAGE_JOBS.c.id == second_jobs[0]).with_for_update())
        async with asyncio.timeout(5):
            await requests.cancel(on_mariadb, "ann", first)


async def waits_for_a_lock(database: Database) -> bool:
    async with database.reading() as connection:
        # Not innodb_trx: who reads that more often than ten times a second reads the same again and again.
        result = await connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(result.one()[1]) > 0


@pytest.mark.parametrize("step", ["begun", "answered"])
async def test_a_take_over_does_not_miss_a_submit_that_is_made_meanwhile(database: Database, step: str):
    """The worker fell silent past its lease, and goes on while it is found gone: what it wrote counts, or failed."""
    _, job_ids = await create(database)
    leases = [(await claim_image(database, job_id, lease_seconds=0)).lease for job_id in job_ids]

    async def go_on(lease: Lease) -> bool:
        try:
            await (jobs.begin_submit(database, lease) if step == "begun" else jobs.note_submitted(database, lease, "7"))
        except LeaseLost:
            return False
        return True

    *written, found = await asyncio.gather(*map(go_on, leases), sweep(database))
    assert found == set(job_ids)
    for job_id, lease, was_written in zip(job_ids, leases, written, strict=True):
        claim = await claim_image(database, job_id)
        assert claim.submit_begun == (was_written and step == "begun")
        assert claim.provider_job_id == ("7" if was_written and step == "answered" else None)
        assert not await go_on(lease)


async def test_whoever_renews_before_it_is_found_gone_keeps_its_job(database: Database):
    _, job_ids = await create(database)
    lease = (await claim_image(database, job_ids[0])).lease
    await expire(database, IMAGE_JOBS, job_ids[0])
    assert await images.claim(database, job_ids[0], TERMS) is None
    assert await lost.recover(database, IMAGE_JOBS, 4, 5, None) == []
    await jobs.renew(database, lease, LEASE_SECONDS)
    assert await sweep(database, queued=4) == set()
    assert await images.claim(database, job_ids[0], TERMS) is None


async def test_the_quota_is_exact(database: Database):
    made = await asyncio.gather(
        *(creation.create(database, new_request(), 7, 3) for _ in range(30)), return_exceptions=True
    )
    refused = [answer for answer in made if isinstance(answer, Refused)]
    assert {error.refusal for error in refused} == {Refusal.QUOTA_EXCEEDED}
    assert len(refused) == 23
    assert len(await rows(database, generation_requests)) == 7
    await creation.create(database, new_request("ben"), 7, 3)


async def test_the_quota_counts_selections_and_retries(database: Database):
    waiting = await drawn(database)
    request_id, job_ids = await create(database)
    await fail_image(database, job_ids[0])
    for job_id in job_ids[1:]:
        await draw(database, job_id)
    await create(database, limit=1)
    with pytest.raises(Refused, match="1 of 1"):
        await models.select_image(database, "ann", waiting, 0, 100, 1, 3)
    image = await row(database, generated_images, request_id=request_id, index=0)
    with pytest.raises(Refused, match="1 of 1"):
        await images.retry(database, "ann", image.id, 1)
    await models.select_image(database, "ann", waiting, 0, 100, 2, 3)


async def test_pictures_that_are_drawn_again_beside_a_model_count_for_other_retries(database: Database):
    failed = []
    for _ in range(2):
        request_id, job_ids = await create(database)
        for job_id in job_ids[:2]:
            await fail_image(database, job_id)
        for job_id in job_ids[2:]:
            await draw(database, job_id)
        await models.fail(database, await claim_model(database, await select_image(database, request_id, 2)), FAILURE)
        failed += [(await row(database, generated_images, request_id=request_id, index=index)).id for index in (0, 1)]
    for image_id in failed[:2]:
        await images.retry(database, "ann", image_id, 1)
    with pytest.raises(Refused, match="1 of 1"):
        await images.retry(database, "ann", failed[2], 1)


async def test_a_key_makes_one_request(database: Database):
    made = await asyncio.gather(*(creation.create(database, new_request(key="k"), 0, 3) for _ in range(16)))
    assert len({request.id for request, _ in made}) == 1
    assert Counter(len(job_ids) for _, job_ids in made) == {4: 1, 0: 15}
    assert len(await rows(database, IMAGE_JOBS)) == 4
    for key in ("K", "k ", "ḱ"):
        _, job_ids = await creation.create(database, new_request(key=key), 0, 3)
        assert len(job_ids) == 4
    assert len((await creation.create(database, new_request("Ann", key="k"), 0, 3))[1]) == 4
    with pytest.raises(Refused) as caught:
        await creation.create(database, new_request(key="k", prompt="a cat"), 0, 3)
    assert caught.value.refusal is Refusal.IDEMPOTENCY_CONFLICT


async def test_a_key_makes_one_request_at_the_limit_too(database: Database):
    made = await asyncio.gather(*(creation.create(database, new_request(key="k"), 1, 3) for _ in range(8)))
    assert len({request.id for request, _ in made}) == 1


async def age(database: Database, *job_ids: str, seconds: float = 60) -> None:
    for job_id in job_ids:
        past = utc_now() - timedelta(seconds=seconds)
        await write(database, IMAGE_JOBS, job_id, sent_at=past, available_at=past)


async def sweep(database: Database, queued: int = 0, grace: float = 5) -> set[str]:
    found = await lost.recover(database, IMAGE_JOBS, queued, grace, utc_now())
    assert len(found) == len(set(found))
    return set(found)


async def test_a_sweep_finds_what_was_lost_and_only_that(database: Database):
    _, given_back = await create(database)
    await jobs.give_back(database, (await claim_image(database, given_back[0])).lease)
    await claim_image(database, given_back[1])
    await expire(database, IMAGE_JOBS, given_back[1])
    await claim_image(database, given_back[2])
    await jobs.back_off(database, (await claim_image(database, given_back[3])).lease, FAILURE, 60, counts=True)
    assert await sweep(database) == {given_back[0], given_back[1]}
    assert await sweep(database) == set(), "what was just sent is not sent again"


async def test_a_sweep_leaves_jobs_whose_messages_are_queued(database: Database):
    _, job_ids = await create(database)
    await age(database, *job_ids)
    assert await sweep(database, queued=4) == set()
    await age(database, job_ids[2], seconds=90)
    assert await sweep(database, queued=3) == {job_ids[2]}
    assert await sweep(database, queued=0) == {job_ids[0], job_ids[1], job_ids[3]}


async def test_a_sweep_leaves_a_job_that_lost_its_worker_while_its_message_is_queued(database: Database):
    _, job_ids = await create(database)
    await claim_image(database, job_ids[0])
    await abandon(database, IMAGE_JOBS, job_ids[0])
    await age(database, job_ids[0])
    assert await sweep(database, queued=4) == set()
    assert await sweep(database, queued=3) == {job_ids[0]}


async def test_a_sweep_finds_a_lost_message_while_younger_ones_are_queued(database: Database):
    _, ids = await create(database)
    await age(database, ids[0])
    for job_id in ids[1:]:
        await draw(database, job_id)
    for _ in range(3):
        await create(database)
    assert await sweep(database, queued=12) == {ids[0]}


async def test_a_sweep_finds_what_back_off_left_behind(database: Database):
    _, job_ids = await create(database)
    await jobs.back_off(database, (await claim_image(database, job_ids[0])).lease, FAILURE, -60, counts=True)
    assert await sweep(database) == {job_ids[0]}


async def test_two_sweeps_find_each_lost_job_once(database: Database):
    missing = []
    for _ in range(5):
        _, job_ids = await create(database)
        await age(database, *job_ids[:2])
        await jobs.give_back(database, (await claim_image(database, job_ids[2])).lease)
        await claim_image(database, job_ids[3])
        await expire(database, IMAGE_JOBS, job_ids[3])
        missing += job_ids
    found = await asyncio.gather(*(lost.recover(database, IMAGE_JOBS, 0, 5, utc_now()) for _ in range(4)))
    assert Counter(job_id for swept in found for job_id in swept) == Counter(missing)


async def test_sweeps_do_not_lock_workers_out(database: Database):
    """Claims, completions and sweeps at once: no deadlock reaches anybody."""
    all_jobs = [job_id for _ in range(6) for job_id in (await create(database))[1]]
    await age(database, *all_jobs)

    async def work(job_id: str) -> None:
        claim = await images.claim(database, job_id, TERMS)
        assert claim is not None
        await jobs.renew(database, claim.lease, LEASE_SECONDS)
        await images.complete(database, Drawn(claim, "a.png"))

    await asyncio.gather(
        *(work(job_id) for job_id in all_jobs),
        *(lost.recover(database, IMAGE_JOBS, 0, 0, utc_now()) for _ in range(12)),
    )
    assert {image.status for image in await rows(database, generated_images)} == {ImageStatus.COMPLETED}


async def test_stuck_jobs_are_counted(database: Database):
    _, job_ids = await create(database)
    assert await lost.count_stuck(database, IMAGE_JOBS, 30) == 0
    await age(database, job_ids[0])
    await claim_image(database, job_ids[1])
    await expire(database, IMAGE_JOBS, job_ids[1], ago=60)
    assert await lost.count_stuck(database, IMAGE_JOBS, 30) == 2


async def test_deleting_while_a_claim_is_held(database: Database, told: Told):
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    prefix = await requests.remove(database, "ann", request_id)
    assert claim.lease.prefix.startswith(prefix)
    assert told[-1] == Deleted(request_id)
    with pytest.raises(LeaseLost):
        await images.complete(database, Drawn(claim, "late.png"))
    with pytest.raises(LeaseLost):
        await jobs.renew(database, claim.lease, LEASE_SECONDS)
    assert await images.claim(database, job_ids[1], TERMS) is None
    for table in metadata.sorted_tables:
        if table not in (file_deletions, users):
            assert await rows(database, table) == [], table.name
    assert [found.prefix for found in await rows(database, file_deletions)] == [prefix]


async def outcome(call: object) -> object:
    try:
        return await call  # type: ignore[misc]
    except (LeaseLost, Refused) as error:
        return error


async def test_cancelling_before_completing(database: Database):
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    await requests.cancel(database, "ann", request_id)
    with pytest.raises(LeaseLost):
        await images.complete(database, Drawn(claim, "late.png"))
    assert (await row(database, generated_images, id=claim.image_id)).status is ImageStatus.CANCELLED


async def test_completing_before_cancelling(database: Database):
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    await images.complete(database, Drawn(claim, "kept.png"))
    await requests.cancel(database, "ann", request_id)
    image = await row(database, generated_images, id=claim.image_id)
    assert (image.status, image.key) == (ImageStatus.COMPLETED, "kept.png")
    assert {found.status for found in await rows(database, generated_images)} == {
        ImageStatus.COMPLETED,
        ImageStatus.CANCELLED,
    }


async def test_cancelling_and_completing_at_once(database: Database):
    for _ in range(10):
        request_id, job_ids = await create(database)
        claims = [await claim_image(database, job_id) for job_id in job_ids]
        ends = await asyncio.gather(
            *(outcome(images.complete(database, Drawn(claim, "a.png"))) for claim in claims[:2]),
            outcome(requests.cancel(database, "ann", request_id)),
            *(outcome(images.complete(database, Drawn(claim, "a.png"))) for claim in claims[2:]),
        )
        assert not isinstance(ends[2], Exception)
        del ends[2]
        for claim, end in zip(claims, ends, strict=True):
            job = await row(database, IMAGE_JOBS, id=claim.lease.job_id)
            image = await row(database, generated_images, id=claim.image_id)
            assert image.status.value == job.status.value == ("CANCELLED" if end else "COMPLETED")
        request = await request_of(database, request_id)
        assert request.status is RequestStatus.CANCELLED
        told = await history(database, request_id)
        assert [event.sequence for event in told] == list(range(1, request.last_event_sequence + 1))


async def test_finishing_a_model_and_cancelling_at_once(database: Database):
    seen = set()
    for turn in range(6):
        request_id = await drawn(database)
        claim = await claim_model(database, await select_image(database, request_id))
        calls = [finish_model(database, claim), requests.cancel(database, "ann", request_id)]
        ends = await asyncio.gather(*map(outcome, calls if turn % 2 else calls[::-1]))
        request = await request_of(database, request_id)
        seen.add(request.status)
        refused = [end for end in ends if isinstance(end, Exception)]
        assert len(refused) == 1
        if request.status is RequestStatus.MODEL_COMPLETED:
            assert isinstance(refused[0], Refused)
            assert refused[0].refusal is Refusal.ALREADY_FINISHED
        else:
            assert request.status is RequestStatus.CANCELLED
            assert isinstance(refused[0], LeaseLost)
    assert seen <= {RequestStatus.MODEL_COMPLETED, RequestStatus.CANCELLED}


async def test_events_are_numbered_without_a_gap(database: Database, told: Told):
    request_id = await drawn(database)
    claim = await claim_model(database, await select_image(database, request_id))
    before = (await request_of(database, request_id)).last_event_sequence
    await asyncio.gather(
        *(models.report_progress(database, claim, 10, ModelStage.GENERATING, estimated=True) for _ in range(32))
    )
    stored = await history(database, request_id)
    assert [event.sequence for event in stored] == list(range(1, before + 33))
    assert (await request_of(database, request_id)).last_event_sequence == before + 32
    assert sorted(told.events, key=lambda event: event.sequence) == stored


async def test_what_is_broadcast_is_what_is_stored(database: Database, told: Told):
    request_id = await finished(database)
    assert told.events == await history(database, request_id)
    assert all(isinstance(message, Happened) for message in told)
    names = [event.name for event in told.events]
    assert names[:8] == ["image:generating", "image:completed"] * 4
    assert names[8:] == ["task:updated", "task:updated", "model:generating", "model:completed", "task:updated"]


async def test_nothing_is_told_of_what_was_rolled_back(database: Database, told: Told):
    request_id, job_ids = await create(database)
    claim = await claim_image(database, job_ids[0])
    heard = len(told)
    await write(database, generated_images, claim.image_id, status=ImageStatus.COMPLETED)
    with pytest.raises(LeaseLost):
        await images.complete(database, Drawn(claim, "a.png"))
    assert len(told) == heard
    assert (await row(database, IMAGE_JOBS, id=job_ids[0])).status is JobStatus.RUNNING
    assert len(await rows(database, events)) == 1
    assert (await request_of(database, request_id)).last_event_sequence == 1


async def test_to_another_user_nothing_exists(database: Database):
    request_id, job_ids = await create(database)
    await fail_image(database, job_ids[0])
    image = await row(database, generated_images, request_id=request_id, index=0)
    before = await snapshot(database)
    for stranger in ("ben", "Ann", "ann ", "anñ"):
        for call in (
            requests.cancel(database, stranger, request_id),
            requests.remove(database, stranger, request_id),
            models.select_image(database, stranger, request_id, 0, 100, 0, 3),
            images.retry(database, stranger, image.id, 0),
        ):
            with pytest.raises(Refused) as caught:
                await call
            assert caught.value.refusal is Refusal.NOT_FOUND
    assert await snapshot(database) == before


@pytest.mark.parametrize("name", ["req_nothing", "", "req_ü", "req_\ud800", "req_\0", "x" * 5000, "REQ_"])
async def test_ids_that_are_none_are_not_found(database: Database, name: str):
    for call in (
        requests.cancel(database, "ann", name),
        requests.remove(database, "ann", name),
        models.select_image(database, "ann", name, 0, 100, 0, 3),
        images.retry(database, "ann", name, 0),
    ):
        with pytest.raises(Refused) as caught:
            await call
        assert caught.value.refusal is Refusal.NOT_FOUND


async def test_ids_mind_their_case(database: Database):
    request_id = await drawn(database)
    with pytest.raises(Refused):
        await requests.cancel(database, "ann", request_id.upper())


async def test_a_cancelled_task_leaves_no_lock_behind(database: Database):
    """A deadline may end a verb anywhere in its transaction."""
    request_id, job_ids = await create(database)
    for steps in range(1, 40):
        task = asyncio.create_task(creation.create(database, new_request(), 0, 3))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        await draw(database, job_ids[0])
        assert len(await history(database, request_id)) == 2


async def test_one_secret_for_all(database: Database):
    made = await asyncio.gather(*(shared_secret(database, "links") for _ in range(12)))
    assert len(set(made)) == 1
    assert len(made[0]) >= 43


async def test_files_of_a_model_come_in_order(database: Database):
    job_id = await select_image(database, await drawn(database))
    claim = await claim_model(database, job_id)
    await models.complete(database, claim, files_of(claim)[::-1], None, REPORT)
    assert (await files_of_models(database, [claim.model_id]))[claim.model_id] == files_of(claim)


async def test_a_failed_model_gives_the_choice_back(database: Database):
    request_id = await drawn(database)
    job_id = await select_image(database, request_id, 2)
    await models.fail(database, await claim_model(database, job_id), FAILURE)
    request = await request_of(database, request_id)
    assert request.status is RequestStatus.MODEL_FAILED
    with pytest.raises(Refused):
        await images.retry(database, "ann", (await rows(database, generated_images))[0].id, 0)
    await select_image(database, request_id, 3)
    model = sorted(await rows(database, metadata.tables["models"]), key=lambda model: model.id)
    assert [found.status for found in model] == [ModelStatus.FAILED, ModelStatus.PENDING]
