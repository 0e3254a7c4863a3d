"""Whose leases end when a process comes to a database."""

from __future__ import annotations

from pathlib import Path

from db import images
from db.presence import Others, present
from db.session import Database
from tests.rows import LEASE_SECONDS, TERMS, claim_image, create, opened, sqlite_url


async def test_those_of_a_killed_process_end_when_the_next_one_comes(tmp_path: Path) -> None:
    async with opened(sqlite_url(tmp_path)) as database:
        _, job_ids = await create(database)
        await claim_image(database, job_ids[0], LEASE_SECONDS)
        assert await images.claim(database, job_ids[0], TERMS) is None
        async with present(database) as others:
            assert others is Others.NONE
            claim = await images.claim(database, job_ids[0], TERMS)
        assert claim is not None
        assert claim.lease.attempt == 1


async def test_those_of_a_process_that_lives_do_not(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    async with opened(url) as first, opened(url) as second, present(first):
        _, job_ids = await create(first)
        await claim_image(first, job_ids[0], LEASE_SECONDS)
        async with present(second) as others:
            assert others is Others.SOME
            assert await images.claim(second, job_ids[0], TERMS) is None
        async with present(second):
            assert await images.claim(second, job_ids[0], TERMS) is None


async def test_where_leases_cannot_be_ended_they_run_out(tmp_path: Path) -> None:
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/empty.db") as database, present(database) as others:
        assert others is Others.UNKNOWN


async def test_on_a_server_nobody_knows(on_mariadb: Database) -> None:
    _, job_ids = await create(on_mariadb)
    await claim_image(on_mariadb, job_ids[0], LEASE_SECONDS)
    async with present(on_mariadb) as others:
        assert others is Others.UNKNOWN
        assert await images.claim(on_mariadb, job_ids[0], TERMS) is None
