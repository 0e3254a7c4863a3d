"""Starting while the database is away, refuses, or comes a moment later."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.program import Program, running
from tests.servers import MariaDB, Redis, wait_until

PASSWORD = "a-secret-of-the-database"


@pytest.fixture
def program(tmp_path: Path, redis_server: Redis) -> Iterator[Program]:
    settings = {"REDIS_URL": redis_server.url, "DATABASE_WAIT_SECONDS": "0.5"}
    program = Program(tmp_path, settings, served=True)
    yield program
    for process in program.processes:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def said(program: Program, *arguments: str, **settings: str) -> str:
    """The last line that a command says which cannot start."""
    done = program.run(*arguments, **settings)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["serve --port 0", "worker", "migrate"])
def test_a_database_that_is_away(program: Program, command: str) -> None:
    url = f"mysql+aiomysql://maquette:{PASSWORD}@127.0.0.1:1/maquette"
    line = said(program, *command.split(), DATABASE_URL=url)
    shown = re.escape(url.replace(PASSWORD, "***"))
    assert re.search(f"DATABASE_URL: {shown} did not answer within 0.5 seconds: .*; start the database", line), line


@pytest.mark.parametrize("command", ["serve --port 0", "worker", "migrate"])
def test_a_database_that_refuses_is_not_waited_for(program: Program, mariadb: MariaDB, command: str) -> None:
    wrong = mariadb.new_database().replace("maquette:maquette@", f"maquette:{PASSWORD}@")
    began = time.monotonic()
    line = said(program, *command.split(), DATABASE_URL=wrong, DATABASE_WAIT_SECONDS="60")
    assert re.search(r"DATABASE_URL: .* refuses: Access denied .*; correct user, password", line), line
    assert time.monotonic() - began < 30


def test_a_database_that_is_not_there_is_named(program: Program, mariadb: MariaDB) -> None:
    url = mariadb.new_database() + "_misspelt"
    assert "Unknown database" in said(program, "migrate", DATABASE_URL=url)


def test_a_file_that_is_no_database(program: Program, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, and no tables" * 100)
    line = said(program, "serve", "--port", "0", DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/notes.txt", REDIS_URL="")
    assert "notes.txt cannot be used: file is not a database; mend the file" in line


async def test_a_database_that_comes_a_moment_later(program: Program) -> None:
    """As compose starts it: beside the program."""
    with MariaDB() as mariadb:
        program.environment |= {"DATABASE_URL": mariadb.new_database(), "DATABASE_WAIT_SECONDS": "60"}
        assert program.run("migrate").returncode == 0
        mariadb.kill9()
        starting = [asyncio.to_thread(program.start_api), asyncio.to_thread(program.start_worker)]
        tasks = [asyncio.create_task(start) for start in starting]
        await asyncio.to_thread(
            wait_until, lambda: program.log.count("waiting for the database") == 2, 30, lambda: program.log
        )
        await asyncio.to_thread(mariadb.start)
        await asyncio.gather(*tasks)
        assert (await asyncio.to_thread(httpx.get, f"{program.url}/readyz")).status_code == 200
        assert "Traceback" not in program.log


@pytest.mark.parametrize("command", ["serve --port 0", "worker"])
def test_told_to_stop_while_it_waits(program: Program, command: str) -> None:
    program.environment |= {
        "DATABASE_URL": "mysql+aiomysql://maquette:x@127.0.0.1:1/maquette",
        "DATABASE_WAIT_SECONDS": "60",
    }
    process = program._spawn("waiting", *command.split())
    wait_until(lambda: "waiting for the database" in program.log, 30, lambda: program.log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0, program.log
    assert "Traceback" not in program.log


def test_a_second_program_on_the_same_file_is_warned(tmp_path: Path) -> None:
    with running(tmp_path, {}, served=False) as first:
        assert "another process works on the same SQLite file" not in first.log
        (tmp_path / "second").mkdir()
        second = {"DATABASE_URL": first.environment["DATABASE_URL"]}
        with running(tmp_path / "second", second, served=False) as program:
            assert "another process works on the same SQLite file" in program.log
