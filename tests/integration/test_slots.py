"""The slots of a provider's account, on each database: never one too many, and each user in turn."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db import creation, images, jobs, lost, slots
from db.creation import NewRequest
from db.images import Drawn
from db.jobs import Terms
from db.migrate import migrate
from db.session import Database
from db.statements import Bound, Outcome
from db.tables import image_generation_jobs as table
from events.clock import utc_now
from events.outcome import Failure, FailureCode
from events.status import JobStatus

LEASE, SECONDS = 30.0, 120.0
BUSY = Failure(FailureCode.PROVIDER_BUSY, "Too many jobs at once.", retryable=True)


@pytest.fixture(params=["sqlite", "mariadb"])
async def opened(request, tmp_path):
    """Makes connections of one more process to one database."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path}/maquette.db"
    else:
        url = request.getfixturevalue("mariadb").new_database()
    async with AsyncExitStack() as stack:

        def made():
            database = Database(url, lambda message: None)
            stack.push_async_callback(database.aclose)
            return database

        await migrate(made())
        yield made


async def created(database, user, count=1):
    """The ids of the jobs of so many requests of a user, one a request; the others are out of the way."""
    found = []
    for _ in range(count):
        request, ids = await creation.create(database, NewRequest(user, "x", False, None, "x", ("x",)), 0, 3)
        assert request.user_id == user
        found += ids
    return found


async def claimed(database, most, job_id="job_that_is_done"):
    return await images.claim(database, job_id, Terms(LEASE, SECONDS), most)


async def row(database, job_id):
    async with database.reading() as connection:
        return (await connection.execute(select(table).where(table.c.id == job_id))).one()


async def sweep(database):
    return await lost.recover(database, table, 0, 0, utc_now())


async def fall_silent(database, *job_ids):
    async with database.transaction() as transaction:
        past = utc_now() - timedelta(seconds=1)
        await transaction.execute(update(table).where(table.c.id.in_(job_ids)).values(lease_expires_at=past))


async def test_many_who_ask_at_once_get_as_many_as_there_are(opened):
    one, other = opened(), opened()
    await slots.keep_limits(one, {table: 3})
    await created(one, "ada", 12)
    asked = [claimed(database, 3) for database in (one, other) * 12]
    found = [claim for claim in await asyncio.gather(*asked) if claim is not None]
    assert len({claim.lease.job_id for claim in found}) == len(found) == 3
    await images.complete(other, Drawn(found[0], "requests/x/image.png"))
    again = await asyncio.gather(*(claimed(database, 3) for database in (one, other) * 4))
    assert len([claim for claim in again if claim is not None]) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_each_user_has_his_turn(opened, most):
    database = opened()
    users = dict.fromkeys(await created(database, "ada", 4), "ada")
    users |= dict.fromkeys(await created(database, "bob"), "bob")
    turns, running = [], []
    for turn in range(6):
        if turn == 2:
            users |= dict.fromkeys(await created(database, "cyd"), "cyd")
        if len(running) == most:
            await images.complete(database, Drawn(running.pop(0), f"requests/{turn}/image.png"))
        running.append(await claimed(database, most))
        turns.append(users[running[-1].lease.job_id])
    assert turns == ["ada", "bob", "cyd", "ada", "ada", "ada"]


async def test_who_has_fewer_jobs_in_hand_comes_first_though_his_last_turn_is_later(opened):
    database = opened()
    users = dict.fromkeys(await created(database, "ada", 3), "ada")
    turns = [await claimed(database, 4), await claimed(database, 4)]
    users |= dict.fromkeys(await created(database, "bob", 3), "bob")
    turns += [await claimed(database, 4), await claimed(database, 4)]
    assert [users[claim.lease.job_id] for claim in turns] == ["ada", "ada", "bob", "bob"]


async def test_the_oldest_job_of_a_user_comes_first(opened):
    database = opened()
    ids = await created(database, "ada", 3)
    assert [(await claimed(database, 3)).lease.job_id for _ in ids] == ids


async def test_a_worker_that_fell_silent_gives_its_slots_back_and_its_jobs_come_first(opened):
    database = opened()
    ids = await created(database, "ada", 4)
    first, second = await claimed(database, 2), await claimed(database, 2)
    assert await claimed(database, 2) is None
    await fall_silent(database, first.lease.job_id)
    assert await claimed(database, 2) is None, "it keeps its slot until it is found gone"
    assert first.lease.job_id in await sweep(database)
    taken_over = await claimed(database, 2)
    assert (taken_over.lease.job_id, taken_over.lease.attempt) == (ids[0], 1)
    assert await claimed(database, 2) is None
    with pytest.raises(jobs.LeaseLost):
        await jobs.renew(database, first.lease, LEASE)
    await jobs.give_back(database, second.lease)
    assert (await claimed(database, 2)).lease.job_id == ids[1]


async def test_a_busy_provider_keeps_the_slot_taken_until_it_is_asked_again(opened):
    database = opened()
    ids = await created(database, "ada", 2)
    claim = await claimed(database, 1)
    await jobs.back_off(database, claim.lease, BUSY, 60, counts=False)
    assert await claimed(database, 1) is None
    kept = await row(database, ids[0])
    assert (kept.status, kept.attempts) == (JobStatus.PENDING, 0)
    async with database.transaction() as transaction:
        past = {"available_at": utc_now() - timedelta(seconds=1), "lease_expires_at": utc_now() - timedelta(seconds=1)}
        await transaction.execute(update(table).where(table.c.id == ids[0]).values(past))
    again = await claimed(database, 1)
    assert (again.lease.job_id, again.lease.attempt) == (ids[0], 1)


async def test_a_job_that_waits_for_a_slot_has_no_deadline_yet_and_uses_no_attempt(opened):
    database = opened()
    ids = await created(database, "ada", 2)
    await claimed(database, 1)
    assert await claimed(database, 1, ids[1]) is None
    waiting = await row(database, ids[1])
    assert (waiting.status, waiting.attempts, waiting.deadline_at) == (JobStatus.PENDING, 0, None)


async def test_the_sweeper_sends_no_more_than_there_are_slots(opened):
    database = opened()
    ids = await created(database, "ada", 6)
    assert len(await sweep(database)) == 6
    await slots.keep_limits(database, {table: 2})
    assert len(await sweep(database)) == 2
    await claimed(database, 2)
    assert len(await sweep(database)) == 1
    await claimed(database, 2)
    assert await sweep(database) == []
    await fall_silent(database, ids[0])
    assert ids[0] in await sweep(database)
    await slots.keep_limits(database, {table: None})
    assert len(await sweep(database)) == 5  # with the silent one


async def test_to_wait_for_a_slot_is_not_to_be_stuck(opened):
    database = opened()
    await slots.keep_limits(database, {table: 1})
    await created(database, "ada", 2)
    assert await lost.count_stuck(database, table, 0) == 2
    await claimed(database, 1)
    assert await lost.count_stuck(database, table, 0) == 0
    await slots.keep_limits(database, {table: None})
    assert await lost.count_stuck(database, table, 0) == 1


async def test_without_a_limit_nothing_more_is_asked(opened):
    database = opened()
    (job_id,) = await created(database, "ada")
    prepared, executed, send = [], [], database._send

    async def noted(connection: AsyncConnection, *statements: Bound) -> list[Outcome]:
        prepared.extend(type(bound.prepared.clause).__name__ for bound in statements)
        return await send(connection, *statements)

    database._send = noted
    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: executed.append(arguments[2].upper()))
    assert await claimed(database, None, job_id) is not None
    assert prepared == [
        *("Select", "Select", "Update"),  # the request's lock, the job, the lease
        *("Update", "Insert", "Update"),  # the image, its event, the request
    ]
    by_sqlalchemy = [text for text in executed if not text.startswith("BEGIN")]
    assert len(by_sqlalchemy) == (len(prepared) if engine.dialect.name == "sqlite" else 0)
