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
from tests.servers import Moto, free_port
from tests.standins.faults import HTML, Fault

ORIGIN = "https://app.example.com"
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
    done = program.run("doctor", **settings)
    assert done.returncode == 1
    assert done.stderr == ""
    assert SECRET not in done.stdout
    assert program.environment["OPENAI_API_KEY"] not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    found = dict(re.fullmatch(r"WRONG  (.*?): (.*)", line).groups() for line in lines)
    assert "start `maquette" in found.pop("workers")
    return found


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
