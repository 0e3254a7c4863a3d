"""No room: on the disk, in the bucket, in the database. Errors say so, and afterwards all goes on with nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest

from tests.acceptance.conftest import Bucket, Connect, servers
from tests.acceptance.program import Client, Program, assert_whole, in_phase, running
from tests.faults.disk import Disk, Limited, disk
from tests.servers import MariaDB, Redis, wait_until

SETTLED = in_phase("AWAITING_SELECTION")
ONCE = {"MAX_ATTEMPTS": "1"}


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "disk") as tiny:
        yield tiny


def pids(*processes: Any) -> Sequence[int]:
    return [process.pid for process in processes]


async def failures(client: Client, request_id: str) -> set[tuple[str, str]]:
    images = (await client.request(request_id))["images"]
    return {(image["failure"]["code"], image["failure"]["message"]) for image in images}


async def drawn_again(client: Client, request_id: str) -> None:
    """Each image is drawn when the user asks for it once more."""
    last = (await client.stored_events(request_id))[-1]["sequence"]
    for image in (await client.request(request_id))["images"]:
        assert (await client.retry(image["id"]))["userErrors"] == []
    await client.follow(request_id, SETTLED, after=last + 1)
    images = (await client.request(request_id))["images"]
    assert {image["imageStatus"] for image in images} == {"COMPLETED"}
    for image in images:
        assert (await client.http.get(image["imageUrl"])).status_code == 200


async def test_the_disk_that_everything_is_on(tiny: Disk, tmp_path: Path, connect: Connect) -> None:
    """Embedded: the tables and the files."""
    folder = tiny.folder
    settings = {
        "STORAGE_DIR": str(folder / "files"),
        "WORK_DIR": str(folder / "work"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/maquette.db",
    }
    with running(tmp_path, settings, served=False) as program:
        client = connect(program)
        before = await client.created("before")
        await client.follow(before, SETTLED)
        tiny.fill(pids(program.api))
        answer = await client.execute('mutation { createRequest(input: { prompt: "full" }) { request { id } } }')
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"UNAVAILABLE"}, answer
        assert (await client.request(before))["phase"] == "AWAITING_SELECTION"
        ready = await client.http.get("/readyz")
        assert ready.status_code == 503
        assert "no space is left" in ready.json()["storage"]
        tiny.free(pids(program.api))
        assert len((await client.data("{ requests { edges { cursor } } }"))["requests"]["edges"]) == 1
        after = await client.created("after")
        assert_whole(await client.follow(after, SETTLED))
        assert (await client.select(before, 0))["userErrors"] == []
        assert_whole(await client.follow(before, in_phase("COMPLETED")))


async def test_the_disk_of_a_worker(
    request: pytest.FixtureRequest, tiny: Disk, tmp_path: Path, connect: Connect
) -> None:
    """First that of the files, then that of the work: the failure names the setting, and the choice is given back."""
    folders = {"STORAGE_DIR": tiny.folder / "files", "WORK_DIR": tmp_path / "work"}
    settings = {**servers(request, "served"), **ONCE, **{name: str(path) for name, path in folders.items()}}
    with running(tmp_path, settings, served=True) as program:
        client = connect(program)
        tiny.fill(pids(program.worker))
        request_id = await client.created("stored nowhere")
        assert_whole(await client.follow(request_id, SETTLED))
        [(code, message)] = await failures(client, request_id)
        assert code == "STORAGE_UNAVAILABLE"
        assert message.startswith(f"STORAGE_DIR: no space is left for {tiny.folder}")
        tiny.free(pids(program.worker))
        await drawn_again(client, request_id)


async def test_the_disk_that_models_are_made_on(
    request: pytest.FixtureRequest, tiny: Disk, tmp_path: Path, connect: Connect
) -> None:
    settings = {**servers(request, "served"), **ONCE, "WORK_DIR": str(tiny.folder / "work")}
    with running(tmp_path, settings, served=True) as program:
        client = connect(program)
        request_id = await client.created("made nowhere")
        last = (await client.follow(request_id, SETTLED))[-1]["sequence"]
        # With a limit on files, the model's own source could not be written by the scripted provider either.
        if isinstance(tiny, Limited):
            pytest.skip("a file system cannot be mounted here")
        (tiny.folder / "work").mkdir(exist_ok=True)
        tiny.fill(())
        assert (await client.select(request_id, 0))["userErrors"] == []
        last = (await client.follow(request_id, SETTLED, after=last))[-1]["sequence"]
        failure = (await client.request(request_id))["models"][0]["failure"]
        assert failure["code"] == "STORAGE_UNAVAILABLE"
        assert failure["message"].startswith("WORK_DIR cannot be written to: No space left")
        tiny.free(())
        assert (await client.select(request_id, 0))["userErrors"] == []
        await client.follow(request_id, in_phase("COMPLETED"), after=last)
        assert not list((tiny.folder / "work").glob("model-*"))


async def test_the_bucket_gone(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket, connect: Connect
) -> None:
    settings = {**servers(request, "served"), **ONCE, **bucket.settings}
    with running(tmp_path, settings, served=True) as program:
        client = connect(program)
        assert bucket.moto.request("DELETE", f"/{bucket.name}") == 204
        request_id = await client.created("stored nowhere")
        assert_whole(await client.follow(request_id, SETTLED))
        [(code, message)] = await failures(client, request_id)
        assert code == "STORAGE_UNAVAILABLE"
        assert message.startswith(f"S3_BUCKET: there is no bucket {bucket.name} at ")
        ready = await client.http.get("/readyz")
        assert (ready.status_code, ready.json()["storage"]) == (503, message)
        assert bucket.moto.request("PUT", f"/{bucket.name}") == 200
        async with httpx.AsyncClient() as browser:
            client.http, http = browser, client.http
            client.http.base_url = http.base_url
            await drawn_again(client, request_id)
            client.http = http
        assert len(bucket.keys()) == 4


@pytest.fixture
def crowded(tmp_path: Path, redis_server: Redis) -> Iterator[tuple[Program, MariaDB]]:
    with MariaDB("--max-connections=40") as mariadb:
        settings = {
            "DATABASE_URL": mariadb.new_database(),
            "REDIS_URL": redis_server.new_database(),
            "MAX_ACTIVE_REQUESTS": "0",
        }
        with running(tmp_path, settings, served=True) as program:
            yield program, mariadb


def take_all(mariadb: MariaDB, others: ExitStack) -> None:
    """Take every connection that the database still has."""
    login = {"host": "127.0.0.1", "port": mariadb.port, "user": mariadb.user, "password": mariadb.password}
    with suppress(pymysql.err.OperationalError):
        while True:
            others.enter_context(pymysql.connect(**login))
    with pytest.raises(pymysql.err.OperationalError, match="Too many connections"):
        pymysql.connect(**login)


async def test_the_database_at_its_limit(crowded: tuple[Program, MariaDB], connect: Connect) -> None:
    """Others have all its connections."""
    program, mariadb = crowded
    client = connect(program)
    first = await client.created("before")
    await client.follow(first, SETTLED)
    with ExitStack() as others:
        take_all(mariadb, others)
        answers = await asyncio.gather(
            *(
                client.execute(
                    "mutation($p: String!, $k: String!) "
                    "{ createRequest(input: { prompt: $p, idempotencyKey: $k }) { request { id } } }",
                    p=f"crowd {number}",
                    k=f"crowd {number}",
                )
                for number in range(40)
            )
        )
        codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", ())}
        assert codes <= {"UNAVAILABLE"}, "no other error, and an answer to everyone"
        late = asyncio.create_task(asyncio.to_thread(program.start_worker))
        await asyncio.to_thread(
            wait_until, lambda: "waiting for the database" in program.log or late.done(), 30, lambda: program.log
        )
    await late
    ids = [await client.created(f"crowd {number}", idempotencyKey=f"crowd {number}") for number in range(40)]
    told = {answer["data"]["createRequest"]["request"]["id"] for answer in answers if "errors" not in answer}
    assert told <= set(ids), "what was accepted is there"
    for request_id in ids:
        assert_whole(await client.follow(request_id, SETTLED))
    assert "Traceback" not in program.log
