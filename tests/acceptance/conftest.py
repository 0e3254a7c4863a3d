"""The program in both ways of running: embedded, and served by MariaDB and Redis with a worker of its own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import pytest

from tests.acceptance.program import Client, Program, running
from tests.servers import MariaDB, Moto, Redis
from tests.standins.openai import KEY, OpenAIStandIn
from tests.standins.server import running as serving
from tests.standins.tencent import SECRET_ID, SECRET_KEY, TencentStandIn

Start = Callable[..., Program]
Connect = Callable[..., Client]
WAYS = ("embedded", "served")


def servers(request: pytest.FixtureRequest, way: str) -> dict[str, str]:
    """The settings of one way of running, with an empty database and an empty queue."""
    if way == "embedded":
        return {}
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    redis: Redis = request.getfixturevalue("redis_server")
    return {"DATABASE_URL": mariadb.new_database(), "REDIS_URL": redis.new_database()}


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


class Tencent(TencentStandIn):
    """The stand-in, with the settings by which a program finds it."""

    url = ""

    @property
    def settings(self) -> dict[str, str]:
        keys = {"TENCENTCLOUD_SECRET_ID": SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SECRET_KEY}
        return {"MODEL_PROVIDER": "tencent", "TENCENTCLOUD_ENDPOINT": self.url, **keys}


class OpenAI(OpenAIStandIn):
    url = ""

    @property
    def settings(self) -> dict[str, str]:
        return {
            "PROMPT_PROVIDER": "openai",
            "IMAGE_PROVIDER": "openai",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": KEY,
        }


class Bucket:
    """A bucket of moto's server, with the settings by which a program finds it."""

    def __init__(self, moto: Moto) -> None:
        self.moto = moto
        self.name = moto.new_bucket()

    @property
    def settings(self) -> dict[str, str]:
        return {"S3_BUCKET": self.name, "S3_ENDPOINT_URL": self.moto.url, **self.moto.environment}

    def keys(self) -> list[str]:
        listing = httpx.get(f"{self.moto.url}/{self.name}?list-type=2").text
        return re.findall(r"<Key>([^<]+)</Key>", listing)


@pytest.fixture
def bucket(moto: Moto) -> Bucket:
    return Bucket(moto)


@pytest.fixture
def tencent() -> Iterator[Tencent]:
    standin = Tencent()
    with serving(standin.app) as standin.url:
        yield standin


@pytest.fixture
def openai() -> Iterator[OpenAI]:
    standin = OpenAI()
    with serving(standin.app) as standin.url:
        yield standin


@pytest.fixture(scope="session")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An embedded program that is not patient, for what clients meet whichever way it is run."""
    patience = {
        "MAX_ACTIVE_REQUESTS": "0",
        "INIT_TIMEOUT_SECONDS": "1",
        "HEADER_TIMEOUT_SECONDS": "1",
        "SLOW_CLIENT_SECONDS": "1",
    }
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
