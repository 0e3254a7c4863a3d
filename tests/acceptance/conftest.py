"""The program in both ways of running: embedded, and served by MariaDB and Redis with a worker of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest

from tests.acceptance.program import Client, Program, running
from tests.servers import MariaDB, Redis

Start = Callable[..., Program]
Connect = Callable[..., Client]
WAYS = ("embedded", "served")
redis_databases = itertools.count(1)


def servers(request: pytest.FixtureRequest, way: str) -> dict[str, str]:
    """The settings of one way of running, with an empty database and an empty queue."""
    if way == "embedded":
        return {}
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    redis: Redis = request.getfixturevalue("redis_server")
    number = next(redis_databases)
    return {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis.url.removesuffix("/0") + f"/{number}"}


@pytest.fixture(params=WAYS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts a program of the test's own, with more settings if the test gives some."""
    environment = servers(request, request.param)
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(
            running(tmp_path, {**environment, **more}, served=request.param == "served")
        )


@pytest.fixture(scope="session", params=WAYS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that tests share which break nothing."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**servers(request, request.param), "MAX_ACTIVE_REQUESTS": "0"}
    with running(folder, environment, served=request.param == "served") as program:
        yield program


@pytest.fixture(scope="session")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An embedded program that is not patient, for what clients meet whichever way it is run."""
    patience = {"MAX_ACTIVE_REQUESTS": "0", "INIT_TIMEOUT_SECONDS": "1", "SLOW_CLIENT_SECONDS": "1"}
    with running(tmp_path_factory.mktemp("face"), patience, served=False) as program:
        yield program


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients of a program, and closes them."""
    async with AsyncExitStack() as stack:

        def made(program: Program, token: str | None = None) -> Client:
            client = Client(program, token)
            stack.push_async_callback(client.http.aclose)
            return client

        yield made


@pytest.fixture
def client(program: Program, connect: Connect) -> Client:
    return connect(program)
