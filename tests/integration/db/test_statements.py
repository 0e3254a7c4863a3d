"""Prepared statements: what comes back is what was written, in order, and a packet that breaks off leaves no trace."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError, OperationalError

from db import statements
from db.session import Database, is_unavailable
from db.statements import Prepared
from db.tables import file_deletions, generated_images, generation_requests, users
from events.clock import utc_now
from events.status import ImageStatus, RequestStatus
from tests.rows import Told, create, empty, opened, request_of, rows
from tests.waiting import until

INSERT = Prepared(insert(users))
NOTE = Prepared(insert(file_deletions))
SET = Prepared(
    update(generation_requests)
    .where(generation_requests.c.id.in_(bindparam("ids", expanding=True)))
    .values(prompt=bindparam("new"), status=RequestStatus.IMAGE_GENERATING)
)
IMAGES = Prepared(
    select(generated_images.c.index, generated_images.c.status.label("what"), generated_images.c.completed_at)
    .where(
        generated_images.c.request_id == bindparam("request_id"),
        tuple_(generated_images.c.index, generated_images.c.status).in_(bindparam("pairs", expanding=True)),
    )
    .order_by(generated_images.c.index)
)
USERS = Prepared(select(func.count()).select_from(users))
# What a statement's text has a meaning for, and what UTF-8 has in each length.
TEXT = st.text(st.sampled_from("'\"\\%s;-#/*`\n\r\t\x1a ?:aé€😀"), max_size=40)


@given(text=TEXT)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_text_comes_back_as_it_was(database: Database, text: str):
    request_id, _ = await create(database)
    async with database.transaction() as transaction:
        transaction.write(SET.bind({"ids": [request_id, text], "new": text}), 1)
    assert (await request_of(database, request_id)).prompt == text


async def test_rows_have_their_types_and_names(database: Database):
    request_id, _ = await create(database)
    pending, failed = ImageStatus.PENDING, ImageStatus.FAILED
    async with database.transaction() as transaction:
        parameters = {"request_id": request_id, "pairs": [(0, pending), (1, failed), (3, pending)]}
        found = await transaction.read(IMAGES.bind(parameters))
        none = await transaction.read(IMAGES.bind(parameters | {"pairs": []}))
    assert [(row.index, row.what, row.completed_at) for row in found] == [(0, pending, None), (3, pending, None)]
    assert list(none) == []


async def test_a_query_sees_what_was_written_before_it(database: Database):
    now = utc_now()
    async with database.transaction() as transaction:
        [(before,)] = await transaction.read(USERS.bind({}))
        transaction.write(INSERT.bind({"id": "ann", "created_at": now}, {"id": "bob", "created_at": now}))
        [(after,)] = await transaction.read(USERS.bind({}))
        transaction.write(INSERT.bind({"id": "cy", "created_at": now}))
        last = await transaction.execute(select(func.count()).select_from(users))
    assert (before, after, last.scalar()) == (0, 2, 3)


async def test_a_write_that_finds_other_rows_than_it_should_undoes_all(database: Database):
    request_id, _ = await create(database)

    async def write() -> None:
        async with database.transaction() as transaction:
            transaction.write(INSERT.bind({"id": "ann", "created_at": utc_now()}))
            transaction.write(SET.bind({"ids": [request_id, "req_none"], "new": "x"}), 2, LookupError())

    with pytest.raises(LookupError):
        await write()
    assert await rows(database, users) == []
    assert (await request_of(database, request_id)).prompt != "x"


async def test_a_packet_that_fails_midway_undoes_all_and_the_connection_goes_on(database: Database):
    ann = {"id": "ann", "created_at": utc_now()}
    request_id, _ = await create(database)

    async def write() -> None:
        async with database.transaction() as transaction:
            transaction.write(INSERT.bind(ann))
            transaction.write(INSERT.bind(ann))
            transaction.write(SET.bind({"ids": [request_id], "new": "x"}), 1)

    for _ in range(3):
        with pytest.raises(IntegrityError):
            await write()
    assert await rows(database, users) == []
    assert (await request_of(database, request_id)).prompt != "x"


async def test_many_rows_go_in_several_trips(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statements, "TRIP_LENGTH", 1_000)
    notes = [{"prefix": f"a/{number}", "created_at": utc_now()} for number in range(200)]
    async with database.transaction() as transaction:
        transaction.write(NOTE.bind(*notes))
        transaction.write(INSERT.bind({"id": "ann", "created_at": utc_now()}))
    assert len(await rows(database, file_deletions)) == 200
    assert len(await rows(database, users)) == 1


async def test_who_is_cancelled_amid_an_answer_leaves_no_half_of_it(on_mariadb: Database):
    sleep = Prepared(select(func.sleep(bindparam("seconds")), func.connection_id()))

    async def wait() -> None:
        async with on_mariadb.transaction() as transaction:
            transaction.write(INSERT.bind({"id": "ann", "created_at": utc_now()}))
            await transaction.read(sleep.bind({"seconds": 30}))

    task = asyncio.create_task(wait())

    async def is_asleep() -> bool:
        async with on_mariadb.reading() as connection:
            found = await connection.exec_driver_sql(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'"
            )
            return found.scalar() == 1

    await until(is_asleep)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(20):
        async with on_mariadb.transaction() as transaction:
            assert list(await transaction.read(USERS.bind({}))) == [(0,)]


async def test_a_lost_connection_is_the_database_being_away(on_mariadb: Database):
    connection_id = Prepared(select(func.connection_id()))

    async def be_killed() -> None:
        async with on_mariadb.transaction() as transaction:
            [(number,)] = await transaction.read(connection_id.bind({}))
            async with on_mariadb.reading() as other:
                await other.exec_driver_sql(f"KILL {number}")
            await transaction.read(connection_id.bind({}))

    with pytest.raises(OperationalError) as raised:
        await be_killed()
    assert is_unavailable(raised.value)
    async with on_mariadb.transaction() as transaction:
        assert await transaction.read(connection_id.bind({}))


async def test_bytes_come_back_as_they_were_whatever_the_servers_mode(mariadb_url: str, told: Told):
    """The columns of users' ids are bytes, and the driver escapes these by backslashes alone."""
    async with opened(mariadb_url, told) as database:
        async with database.reading() as connection:
            [(mode,)] = await connection.exec_driver_sql("SELECT @@GLOBAL.sql_mode")
            await connection.exec_driver_sql("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'")
        try:
            async with opened(mariadb_url, told) as later:
                await empty(later)
                name = "o'neil\\'); -- \\"
                async with later.transaction() as transaction:
                    transaction.write(INSERT.bind({"id": name, "created_at": utc_now()}))
                assert [user.id for user in await rows(later, users)] == [name]
        finally:
            async with database.reading() as connection:
                await connection.exec_driver_sql(f"SET GLOBAL sql_mode = '{mode}'")
