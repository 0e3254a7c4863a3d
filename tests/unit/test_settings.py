"""A setting that is wrong or half there is named in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from settings import Settings, SettingsError, load

TENCENT = {"TENCENTCLOUD_SECRET_ID": "very-secret-id", "TENCENTCLOUD_SECRET_KEY": "very-secret-key"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)


WRONG = [
    ("DATABASE_URL", "postgresql://host/db"),
    ("DATABASE_URL", "sqlite+aiosqlite://"),
    ("DATABASE_URL", "sqlite+aiosqlite:///"),
    ("DATABASE_URL", "sqlite+aiosqlite:///:memory:"),
    ("DATABASE_URL", "mysql+aiomysql://user:very-secret@host"),
    ("DATABASE_URL", "mysql+aiomysql://user:very-secret@host/"),
    ("DATABASE_URL", "mysql+aiomysql://user:very-secret@/db"),
    ("DATABASE_URL", "mysql+aiomysql://user:very-secret@host:port/db"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "http://localhost"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "redis://:very-secret@host:port/0"),
    ("REDIS_URL", "redis://host:99999/0"),
    ("REDIS_URL", "redis://host/zero"),
    ("S3_BUCKET", "No Bucket"),
    ("S3_BUCKET", "ab"),
    ("S3_ENDPOINT_URL", "localhost:9000"),
    ("S3_ENDPOINT_URL", "http://host:port"),
    ("S3_PUBLIC_URL", "ftp://host"),
    ("PROMPT_PROVIDER", "tencent"),
    ("IMAGE_PROVIDER", "none"),
    ("MODEL_PROVIDER", "openai"),
    ("MODEL_PROVIDER", "some.module"),
    ("OPENAI_BASE_URL", "api.openai.com"),
    ("OPENAI_IMAGE_SIZE", "large"),
    ("IMAGE_CONCURRENCY", "0"),
    ("IMAGE_CONCURRENCY", "many"),
    ("IMAGE_CONCURRENCY", "1.5"),
    ("MODEL_CONCURRENCY", "65"),
    ("MAX_ATTEMPTS", "0"),
    ("RETRY_SECONDS", "0"),
    ("RETRY_SECONDS", "inf"),
    ("PROMPT_TIMEOUT_SECONDS", "nan"),
    ("IMAGE_TIMEOUT_SECONDS", "-1"),
    ("MODEL_TIMEOUT_SECONDS", "soon"),
    ("LEASE_SECONDS", "0"),
    ("SWEEP_SECONDS", "0"),
    ("SHUTDOWN_SECONDS", "-3"),
    ("JWT_JWKS_URL", "keys.json"),
    ("ALLOWED_ORIGINS", "app.example.com"),
    ("ALLOWED_ORIGINS", "https://app.example.com/page"),
    ("PUBLIC_URL", "app.example.com"),
    ("MAX_ACTIVE_REQUESTS", "-1"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "loud"),
    ("TENCENT_FACE_COUNT", "1"),
    ("TENCENTCLOUD_ENDPOINT", "https://host/path"),
]


def complaint() -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_a_wrong_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    text = complaint()
    assert text.startswith(f"{name}: ")
    assert "\n" not in text
    assert len(text) > len(name) + 10
    assert "very-secret" not in text


HALVES = [
    ("TENCENTCLOUD_SECRET_ID", {"IMAGE_PROVIDER": "tencent"}),
    ("TENCENTCLOUD_SECRET_KEY", {"MODEL_PROVIDER": "tencent", "TENCENTCLOUD_SECRET_ID": "very-secret-id"}),
    ("OPENAI_API_KEY", {"PROMPT_PROVIDER": "openai"}),
    ("OPENAI_API_KEY", {"IMAGE_PROVIDER": "openai"}),
    ("JWT_JWKS_URL", {"JWT_SECRET": "very-secret" * 4, "JWT_JWKS_URL": "https://example.com/keys"}),
    ("S3_BUCKET", {"S3_ENDPOINT_URL": "http://127.0.0.1:9000"}),
    ("S3_BUCKET", {"S3_PUBLIC_URL": "https://files.example.com"}),
    ("TENCENT_GENERATE_TYPE", {"TENCENT_MODEL_EDITION": "rapid", "TENCENT_GENERATE_TYPE": "Sketch"}),
]


@pytest.mark.parametrize(("name", "values"), HALVES, ids=[f"{name} {'+'.join(values)}" for name, values in HALVES])
def test_what_is_half_there_is_named(monkeypatch: pytest.MonkeyPatch, name: str, values: dict[str, str]):
    for key, value in values.items():
        monkeypatch.setenv(key, value)
    text = complaint()
    assert text.startswith(f"{name}: ")
    assert "\n" not in text
    assert "very-secret" not in text


def test_the_defaults_are_the_embedded_program():
    settings = load()
    assert settings.is_sqlite
    assert settings.redis_url is None
    assert not settings.authenticates
    assert (settings.image_concurrency, settings.model_concurrency, settings.max_attempts) == (5, 3, 3)
    assert (settings.retry_seconds, settings.lease_seconds, settings.sweep_seconds) == (2, 30, 5)
    assert (settings.image_timeout_seconds, settings.model_timeout_seconds) == (120, 900)
    assert settings.max_active_requests == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite+aiosqlite:////var/lib/maquette.db"),
        ("DATABASE_URL", "mysql+aiomysql://user:p%40ss@host:3306/db?charset=utf8mb4"),
        ("REDIS_URL", "rediss://user:pass@host:6380/3"),
        ("REDIS_URL", "redis://[::1]:6379"),
        ("S3_BUCKET", "my-bucket.1"),
        ("IMAGE_PROVIDER", "my.module:Painter"),
        ("ALLOWED_ORIGINS", "https://a.example.com, http://localhost:3000/"),
        ("RETRY_SECONDS", "0.5"),
    ],
)
def test_good_settings_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    load()


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch):
    for name in ("REDIS_URL", "S3_BUCKET", "JWT_SECRET", "IMAGE_CONCURRENCY"):
        monkeypatch.setenv(name, "")
    settings = load()
    assert (settings.redis_url, settings.s3_bucket, settings.image_concurrency) == (None, None, 5)


def test_a_file_is_read_and_the_environment_goes_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / ".env").write_text("MAX_ATTEMPTS=7\nIMAGE_CONCURRENCY=2\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("MAX_ATTEMPTS", "9")
    settings = load()
    assert (settings.max_attempts, settings.image_concurrency) == (9, 2)


def test_settings_are_frozen_and_keep_secrets(monkeypatch: pytest.MonkeyPatch):
    for name, value in {**TENCENT, "JWT_SECRET": "very-secret" * 4}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", "mysql+aiomysql://user:very-secret@host/db")
    monkeypatch.setenv("REDIS_URL", "redis://:very-secret@host")
    settings = load()
    assert "very-secret" not in repr(settings)
    with pytest.raises(Exception, match="frozen"):
        settings.max_attempts = 5
