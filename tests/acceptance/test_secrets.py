"""Keys and passwords appear nowhere: not in logs, errors, events, answers, nor what the doctor says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from sqlalchemy.engine import make_url
from websockets.asyncio.client import connect as websocket
from websockets.typing import Subprotocol

from settings import Settings
from tests.acceptance.conftest import Bucket, Connect, OpenAI, Tencent
from tests.acceptance.program import Client, Program, in_phase, running
from tests.servers import MariaDB, Redis
from tests.standins.faults import HTML, Fault
from tests.standins.openai import KEY
from tests.standins.tencent import SECRET_ID, SECRET_KEY, Script

DATABASE, REDIS, TOKENS, STORE = "needle-database", "needle-redis", "needle-tokens" * 3, "needle-storage"
WRONG_KEY, WRONG_ID, WRONG_SECRET = "sk-needle-wrong-0123456789", "AKIDneedlewrong", "needle-wrong-tencent"
# What the services' results are opened with, and what is signed here.
SIGNED = ("q-signature=", "signature=private", "X-Amz-Signature")
NEEDLES = (DATABASE, REDIS, TOKENS, STORE, WRONG_KEY, WRONG_ID, WRONG_SECRET, KEY, SECRET_ID, SECRET_KEY)
# What each service was sent, repeated.
ECHO = f"You sent Authorization: Bearer {KEY}"
TENCENT_ECHO = f"You sent Authorization: TC3-HMAC-SHA256 Credential={SECRET_ID}/2026, signed with {SECRET_KEY}"
SUBMIT, QUERY = "SubmitHunyuanTo3DProJob", "QueryHunyuanTo3DProJob"
AWAITING = in_phase("AWAITING_SELECTION")


class GuardedRedis(Redis):
    def client(self):
        client = super().client()
        client.connection_pool.connection_kwargs["password"] = REDIS
        return client


@pytest.fixture
def redis() -> Iterator[Redis]:
    with GuardedRedis("--requirepass", REDIS) as server:
        yield server


@pytest.fixture
def mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        server.execute(f"CREATE USER 'guarded'@'127.0.0.1' IDENTIFIED BY '{DATABASE}'")
        server.execute("GRANT ALL ON *.* TO 'guarded'@'127.0.0.1'")
        yield server


@pytest.fixture
def program(
    tmp_path: Path, mariadb: MariaDB, redis: Redis, openai: OpenAI, tencent: Tencent, bucket: Bucket
) -> Iterator[Program]:
    name = mariadb.new_database().rpartition("/")[2]
    environment = {
        **openai.settings,
        **tencent.settings,
        **bucket.settings,
        "AWS_SECRET_ACCESS_KEY": STORE,
        "DATABASE_URL": f"mysql+aiomysql://guarded:{DATABASE}@127.0.0.1:{mariadb.port}/{name}",
        "REDIS_URL": f"redis://:{REDIS}@127.0.0.1:{redis.port}/0",
        "JWT_SECRET": TOKENS,
        "LOG_LEVEL": "DEBUG",
        "MAX_ATTEMPTS": "2",
    }
    with running(tmp_path, environment, served=True) as program:
        yield program


async def everything(client: Client, request_id: str) -> str:
    """All that the API says of a request."""
    return json.dumps([await client.request(request_id), await client.stored_events(request_id)])


async def test_whatever_fails(
    program: Program,
    connect: Connect,
    openai: OpenAI,
    tencent: Tencent,
    bucket: Bucket,
    mariadb: MariaDB,
    redis: Redis,
) -> None:
    token = jwt.encode({"sub": "ada", "exp": time.time() + 600}, TOKENS, "HS256")
    client = connect(program, token)
    said = []

    # Pictures: the service repeats what it was sent, in errors of every kind.
    openai.script.delivery = "url"
    openai.fail(
        Fault("error", "chat", times=2, status=400, code=KEY, message=ECHO),
        Fault("error", "images", status=400, code=KEY, message=ECHO),
        Fault("error", "images", status=401, code="invalid_api_key", message=ECHO),
        Fault("answer", "images", times=2, headers=HTML.headers | {"x-request-id": ECHO}, body=ECHO),
        Fault("answer", "images", status=400, headers={"x-request-id": ECHO}),
        Fault("answer", "file", times=6, status=403, body=ECHO),
    )
    failed = await client.created("repeated")
    await client.follow(failed, AWAITING)
    said.append(await everything(client, failed))
    openai.fail()
    request_id = await client.created("drawn")
    await client.follow(request_id, AWAITING)

    # A browser cannot, but other clients send their token with the handshake.
    async with websocket(
        f"{program.url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers={"Authorization": f"Bearer {token}"},
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
    database = make_url(program.environment["DATABASE_URL"]).database
    [(links,)] = mariadb.execute("SELECT value FROM secrets WHERE name = 'links'", database)

    # Models.
    json_type = {"content-type": "application/json"}
    for faults, script in (
        ([], Script(timeline=["DONE"], results=[("GLB", "page.html")])),
        ([], Script(timeline=["FAIL"], fail_code="InvalidParameterValue", fail_message=TENCENT_ECHO)),
        ([Fault("error", SUBMIT, code="InvalidParameter", message=TENCENT_ECHO)], Script()),
        ([Fault("error", SUBMIT, code="AuthFailure.SignatureFailure", message=TENCENT_ECHO)], Script()),
        ([Fault("answer", SUBMIT, headers=HTML.headers, body=TENCENT_ECHO)], Script()),
        ([Fault("answer", SUBMIT, headers=json_type, body=json.dumps(TENCENT_ECHO))], Script()),
    ):
        tencent.script = script
        tencent.fail(*faults)
        sequence = (await client.request(request_id))["lastEventSequence"]
        assert (await client.select(request_id, 0))["userErrors"] == []
        events = await client.follow(request_id, AWAITING, after=sequence)
        assert events[-2]["name"] == "model:failed"
    said.append(await everything(client, request_id))

    # Tokens that are wrong, and servers that are away.
    said.append(str(await connect(program, token[:-3]).execute("{ viewer { id } }")))
    bucket.moto.pause()
    said.append((await client.http.get("/readyz")).text)
    bucket.moto.resume()
    await asyncio.to_thread(redis.kill9)
    said.append((await client.http.get("/readyz")).text)
    await asyncio.to_thread(mariadb.kill9)
    said.append((await client.http.get("/readyz")).text)
    said.append(str(await client.execute("{ requests { totalCount } }")))
    for wrong in (
        {},
        {"OPENAI_API_KEY": WRONG_KEY, "TENCENTCLOUD_SECRET_ID": WRONG_ID, "TENCENTCLOUD_SECRET_KEY": WRONG_SECRET},
        {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{redis.port}",
            "TENCENTCLOUD_ENDPOINT": f"http://127.0.0.1:{redis.port}",
        },
        {"OPENAI_BASE_URL": f"https://ada:{WRONG_KEY}@example.com/v1"},
        {"OPENAI_API_KEY": f"{WRONG_KEY} and more"},
    ):
        done = await asyncio.to_thread(program.run, "doctor", **wrong)
        assert done.returncode in (1, 2)
        said.append(done.stdout + done.stderr)
    log = program.log
    # All of it was provoked.
    for word in (
        "invalid_api_key",
        "InvalidParameter",
        "AuthFailure.SignatureFailure",
        "OUTCOME_UNKNOWN",
        "BAD_OUTPUT",
    ):
        assert word in said[0] + said[1]
    assert "***" in said[1]
    assert "the database is away" in log
    for needle in (*NEEDLES, token, str(links)):
        assert needle not in log
        assert not [text for text in said if needle in text], needle
    for needle in SIGNED:
        assert needle not in log


def test_the_settings_show_nothing() -> None:
    given = {
        "database_url": f"mysql+aiomysql://guarded:{DATABASE}@db/maquette",
        "redis_url": f"redis://:{REDIS}@redis/0",
        "openai_api_key": WRONG_KEY,
        "tencentcloud_secret_id": WRONG_ID,
        "tencentcloud_secret_key": WRONG_SECRET,
        "jwt_secret": TOKENS,
    }
    made = Settings(_env_file=None, **given)
    for text in (repr(made), str(made), str(made.model_dump()), made.model_dump_json()):
        assert not [needle for needle in NEEDLES if needle in text]
