"""`maquette doctor` with the services that users pay for: what is wrong, and what to do, at no cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from storage.s3_cors import rule
from tests.acceptance.conftest import Bucket, OpenAI, Tencent
from tests.acceptance.program import Program
from tests.servers import MariaDB, Moto, Redis, free_port
from tests.standins.faults import HTML, Fault

ORIGIN = "https://app.example.com"
SQLITE = "sqlite+aiosqlite:///"
SECRET = "sk-a-secret-that-nobody-may-see"


@pytest.fixture
def program(tmp_path: Path, openai: OpenAI, tencent: Tencent, bucket: Bucket) -> Iterator[Program]:
    services = {**openai.settings, **tencent.settings, **bucket.settings, "ALLOWED_ORIGINS": ORIGIN}
    program = Program(tmp_path, services, served=False)
    assert program.run("migrate").returncode == 0
    yield program
    assert {"chat", "images"}.isdisjoint(openai.script.calls), "something was paid for"
    assert not tencent.jobs


def wrong(program: Program, **settings: str) -> dict[str, str]:
    """What the doctor finds wrong, but for the workers: none runs here."""
    found = all_wrong(program, **settings)
    assert "start `maquette" in found.pop("workers")
    return found


def all_wrong(program: Program, **settings: str) -> dict[str, str]:
    done = program.run("doctor", **settings)
    assert done.returncode == 1
    assert done.stderr == ""
    assert SECRET not in done.stdout
    assert program.environment["OPENAI_API_KEY"] not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    return dict(re.fullmatch(r"WRONG  (.*?): (.*)", line).groups() for line in lines)


def allow(bucket: Bucket) -> None:
    """Set the rule that the doctor prints."""
    given = {name.lower(): value for name, value in Moto.environment.items() if name.startswith("AWS_")}
    keys = {name: given[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    client = boto3.client("s3", endpoint_url=bucket.moto.url, region_name="us-east-1", **keys)
    client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=json.loads(rule([ORIGIN])))
    client.close()


def test_all_is_well_but_the_rule_of_the_bucket(program: Program, bucket: Bucket) -> None:
    found = wrong(program)
    assert found.keys() == {"bucket's CORS rule"}
    assert rule([ORIGIN]) in found["bucket's CORS rule"]
    allow(bucket)
    assert wrong(program) == {}
    well = program.run("doctor").stdout
    for line in ("prompts by openai", "images by openai", "models by tencent", "storage", "bucket's CORS rule"):
        assert f"ok     {line}\n" in well


def test_what_is_wrong_with_each_service(program: Program, bucket: Bucket, openai: OpenAI) -> None:
    allow(bucket)
    keys = wrong(program, OPENAI_API_KEY=SECRET, TENCENTCLOUD_SECRET_KEY=SECRET)
    assert keys["images by openai"].startswith("OPENAI_API_KEY: 127.0.0.1:")
    assert keys["models by tencent"].startswith("TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY: ")
    assert "AuthFailure.SignatureFailure" in keys["models by tencent"]
    nowhere = f"http://127.0.0.1:{free_port()}"
    away = wrong(
        program,
        OPENAI_BASE_URL=nowhere,
        TENCENTCLOUD_ENDPOINT=nowhere,
        JWT_JWKS_URL=f"{nowhere}/keys",
        S3_BUCKET="no-such-bucket",
    )
    assert away["prompts by openai"].startswith("OPENAI_BASE_URL: 127.0.0.1:")
    assert away["models by tencent"].startswith("TENCENTCLOUD_ENDPOINT: 127.0.0.1:")
    assert away["tokens' keys"].startswith("JWT_JWKS_URL: 127.0.0.1 ")
    assert away["storage"].startswith("S3_BUCKET: there is no bucket no-such-bucket")
    names = wrong(
        program,
        OPENAI_IMAGE_MODEL="dall-e-9",
        OPENAI_BASE_URL=f"{openai.url}/v1",
        IMAGE_PROVIDER="openai",
        JWT_JWKS_URL=f"{openai.url}/pictures/1.png",
    )
    assert names["images by openai"].startswith("OPENAI_IMAGE_MODEL: 127.0.0.1:")
    assert names["tokens' keys"].startswith("JWT_JWKS_URL: ")
    assert "prompts by openai" not in names


def test_nonsense_is_said_in_one_line(program: Program, bucket: Bucket, openai: OpenAI, tencent: Tencent) -> None:
    allow(bucket)
    openai.fail(Fault("answer", times=2, headers=HTML.headers, body=HTML.body))
    tencent.fail(Fault("answer", headers=HTML.headers, body=HTML.body))
    found = wrong(program)
    assert found.keys() == {"prompts by openai", "images by openai", "models by tencent"}
    without = wrong(program, OPENAI_BASE_URL=openai.url)
    assert "does it end as it should" in without["images by openai"]


def test_half_a_key_is_said_in_one_line(program: Program) -> None:
    del program.environment["AWS_SECRET_ACCESS_KEY"]
    done = program.run("doctor")
    assert done.returncode == 1
    assert re.search("WRONG  storage: AWS_ACCESS_KEY_ID: no complete credentials", done.stdout)
    for name in ("database", "tables", "workers", "jobs"):
        assert f"WRONG  {name}: not looked at: the storage cannot be opened\n" in done.stdout
    assert "ok     models by tencent\n" in done.stdout


EMBEDDED = {"S3_BUCKET": "", "S3_ENDPOINT_URL": ""}
"""Empty is unset: the files lie in a folder."""
UNSEEN = dict.fromkeys(("tables", "workers", "jobs"), "not looked at: the database cannot be used")


def test_a_database_and_a_redis_that_are_away(program: Program) -> None:
    database, redis = free_port(), free_port()
    found = all_wrong(
        program,
        **EMBEDDED,
        DATABASE_URL=f"mysql+aiomysql://ada:{SECRET}@127.0.0.1:{database}/maquette",
        REDIS_URL=f"redis://:{SECRET}@127.0.0.1:{redis}",
    )
    assert found.pop("database").startswith(f"DATABASE_URL: mysql+aiomysql://ada:***@127.0.0.1:{database}/maquette did")
    assert found.pop("redis").startswith(f"REDIS_URL: 127.0.0.1:{redis} cannot be reached: ")
    assert found == UNSEEN


def test_a_database_and_a_redis_that_refuse(program: Program, mariadb: MariaDB) -> None:
    url = mariadb.new_database()
    with Redis() as redis:
        with redis.client() as client:
            client.config_set("requirepass", "another")
        refused = {"REDIS_URL": redis.url.replace("//", f"//:{SECRET}@")}
        found = all_wrong(
            program, **EMBEDDED, **refused, DATABASE_URL=url.replace("maquette:maquette@", f"x:{SECRET}@")
        )
        assert found["redis"].startswith(f"REDIS_URL: 127.0.0.1:{redis.port} refuses: ")
        beyond = redis.database(redis.databases).replace("//", "//:another@")
        nowhere = all_wrong(program, **EMBEDDED, REDIS_URL=beyond, DATABASE_URL=f"{url}_misspelt")
    assert re.match("DATABASE_URL: .* refuses: Access denied .*; correct user, password", found["database"])
    assert found.items() >= UNSEEN.items()
    assert re.match("DATABASE_URL: .* refuses: Unknown database .*; correct user, password", nowhere["database"])
    assert re.match("REDIS_URL: .* cannot be used: .*out of range; correct the URL", nowhere["redis"])
    empty = all_wrong(program, **EMBEDDED, DATABASE_URL=url)
    assert empty["tables"] == "not up to date; run `maquette migrate`"
    assert empty["jobs"] == empty["workers"] == "not looked at: the tables are not up to date"


def test_before_the_first_start(program: Program, tmp_path: Path) -> None:
    new = all_wrong(program, **EMBEDDED, DATABASE_URL=f"{SQLITE}{tmp_path}/new.db")
    assert new == {"workers": "none works; start `maquette serve`"}


def test_folders_that_cannot_be_written(program: Program, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no folder")
    below = tmp_path / "notes.txt" / "below"
    found = all_wrong(
        program, **EMBEDDED, STORAGE_DIR="/proc/nowhere/files", WORK_DIR=f"{below}", DATABASE_URL=f"{SQLITE}{below}"
    )
    assert re.match("STORAGE_DIR: /proc/nowhere/files cannot be used: .*; mend .*, or set another", found["storage"])
    assert found["work folder"].startswith(f"WORK_DIR: {below} cannot be written to: Not a directory; make room")
    assert found["database"].startswith(f"DATABASE_URL: {SQLITE}{below} cannot be used: unable to open database file; ")
    assert found.items() >= UNSEEN.items()


OWN = """
import os


class House:
    def __init__(self, settings):
        os.environ["HOUSE_URL"]

    async def optimize(self, prompt): ...

    async def aclose(self): ...


class Ill(House):
    def __init__(self, settings):
        self.key = settings.openai_api_key

    async def check(self):
        {}[f"nothing\\nfor {self.key.get_secret_value()}"]
"""


def test_a_class_of_ones_own_that_fails(program: Program, tmp_path: Path) -> None:
    (tmp_path / "house.py").write_text(OWN)
    made = all_wrong(program, **EMBEDDED, PROMPT_PROVIDER="house:House")
    assert made["prompts by house:House"].startswith("PROMPT_PROVIDER: house:House cannot be made with the settings")
    assert made["prompts by house:House"].endswith(": KeyError: 'HOUSE_URL'")
    checked = all_wrong(program, **EMBEDDED, PROMPT_PROVIDER="house:Ill", OPENAI_API_KEY=SECRET)
    assert checked["prompts by house:Ill"].startswith("PROMPT_PROVIDER: KeyError: 'nothing")
