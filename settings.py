"""Every setting of the program, read once from the environment and `.env`, checked, and frozen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
CLASS_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
PICTURE_SIZE = re.compile(r"auto|[1-9]\d{1,3}x[1-9]\d{1,3}")
KEY = re.compile(r"[!-~]+")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _has_host(url: str) -> bool:
    """Whether a URL has a host, and no port that is none."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


class SettingsError(Exception):
    """A setting is wrong or half there. The message is one line that names it and says what to do."""


class Settings(BaseSettings):
    """The settings by their names in lower case; `docs/settings.md` describes each."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: SecretStr = SecretStr("sqlite+aiosqlite:///data/maquette.db")
    database_wait_seconds: float = Field(30, ge=0, allow_inf_nan=False)
    redis_url: SecretStr | None = None

    storage_dir: Path = Path("data/files")
    work_dir: Path = Path("data/work")
    s3_bucket: str | None = None
    s3_endpoint_url: str | None = None
    s3_public_url: str | None = None

    prompt_provider: str = "local"
    image_provider: str = "local"
    model_provider: str = "local"

    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: SecretStr | None = None
    openai_image_model: str = "gpt-image-1"
    openai_image_size: str = "1024x1024"
    openai_image_shape: Literal["auto", "openai", "siliconflow"] = "auto"
    openai_chat_model: str = "gpt-4o-mini"

    tencentcloud_secret_id: SecretStr | None = None
    tencentcloud_secret_key: SecretStr | None = None
    tencentcloud_region: str = "ap-guangzhou"
    tencentcloud_endpoint: str | None = None
    tencent_image_action: Literal["SubmitTextToImageJob", "SubmitTextToImageProJob"] = "SubmitTextToImageJob"
    tencent_model_edition: Literal["pro", "rapid"] = "pro"
    tencent_model_version: Literal["3.0", "3.1"] = "3.0"
    tencent_generate_type: Literal["Normal", "LowPoly", "Geometry", "Sketch"] = "Geometry"
    tencent_face_count: int | None = Field(None, ge=3_000, le=1_500_000)
    tencent_timeout_seconds: Seconds = 60

    image_concurrency: int = Field(5, ge=1, le=64)
    model_concurrency: int = Field(3, ge=1, le=64)
    max_attempts: int = Field(3, ge=1, le=20)
    retry_seconds: Seconds = 2
    prompt_timeout_seconds: Seconds = 20
    image_timeout_seconds: Seconds = 120
    model_timeout_seconds: Seconds = 900
    progress_seconds: Pause = 1
    poll_seconds: Pause = 5
    lease_seconds: Seconds = Field(30, le=300)
    sweep_seconds: Seconds = 5
    shutdown_seconds: Seconds = 30

    jwt_secret: SecretStr | None = None
    jwt_jwks_url: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    public_url: str | None = None
    max_active_requests: int = Field(20, ge=0)

    max_header_bytes: int = Field(64 << 10, ge=1024)
    max_body_bytes: int = Field(128 << 10, ge=1024)
    max_message_bytes: int = Field(128 << 10, ge=1024)
    max_query_depth: int = Field(16, ge=1)
    max_query_aliases: int = Field(30, ge=0)
    max_query_directives: int = Field(30, ge=0)
    max_query_tokens: int = Field(1_000, ge=1)
    max_query_cost: int = Field(40_000, ge=1)
    max_connections_per_user: int = Field(100, ge=0)
    max_subscriptions_per_user: int = Field(1_000, ge=0)
    max_subscriptions_per_connection: int = Field(100, ge=1)
    persisted_query_bytes: int = Field(8 << 20, ge=0)
    request_timeout_seconds: Seconds = 30
    header_timeout_seconds: Seconds = 10
    init_timeout_seconds: Seconds = 10
    slow_client_seconds: Seconds = 20

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return (
            tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is no origin; write scheme and host, such as https://app.example.com")
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if url.startswith("sqlite+aiosqlite:///"):
            if url.removeprefix("sqlite+aiosqlite:///") in {"", ":memory:"}:
                raise ValueError("must name a file after sqlite+aiosqlite:///")
        elif not url.startswith("mysql+aiomysql://"):
            raise ValueError("must start with sqlite+aiosqlite:/// or mysql+aiomysql://")
        elif not (_has_host(url) and urlsplit(url).path.strip("/")):
            raise ValueError("must be mysql+aiomysql://user:password@host:port/database, the port a number")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        url = value.get_secret_value()
        if not re.match(r"rediss?://.", url):
            raise ValueError("must start with redis:// or rediss://")
        if not (_has_host(url) and re.fullmatch(r"(/\d*)?", urlsplit(url).path)):
            raise ValueError("must be redis://:password@host:port/number, port and number being numbers")
        return value

    @field_validator("s3_bucket")
    @classmethod
    def _check_bucket(cls, value: str | None) -> str | None:
        if value is not None and not BUCKET_NAME.fullmatch(value):
            raise ValueError("is no bucket name; 3 to 63 lower-case letters, digits, dots and hyphens are")
        return value

    @field_validator(
        "s3_endpoint_url", "s3_public_url", "openai_base_url", "tencentcloud_endpoint", "jwt_jwks_url", "public_url"
    )
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not (re.match("https?://", value) and _has_host(value)):
            raise ValueError("must be an http or https URL with a host")
        if "@" in urlsplit(value).netloc:
            raise ValueError("must hold no user name and password: it is shown in places where nothing secret may be")
        return value.rstrip("/")

    @field_validator("tencentcloud_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/?#@\s]+", value):
            raise ValueError("must be scheme and host only, such as https://ai3d.example.com")
        return value

    @field_validator("openai_api_key", "tencentcloud_secret_id", "tencentcloud_secret_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return value

    @field_validator("openai_image_size")
    @classmethod
    def _check_picture_size(cls, value: str) -> str:
        if not PICTURE_SIZE.fullmatch(value):
            raise ValueError("must be width x height in pixels, such as 1024x1024, or auto")
        return value

    @field_validator("prompt_provider", "image_provider", "model_provider")
    @classmethod
    def _check_provider(cls, value: str, info: Any) -> str:
        names = {
            "prompt_provider": ("local", "openai", "none"),
            "image_provider": ("local", "openai", "tencent"),
            "model_provider": ("local", "tencent"),
        }[info.field_name]
        if value not in names and not CLASS_PATH.fullmatch(value):
            raise ValueError(f"{value!r} is none of {', '.join(names)} and no package.module:Class")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        if "openai" in {self.prompt_provider, self.image_provider} and self.openai_api_key is None:
            raise ValueError("OPENAI_API_KEY: is needed where a provider is openai")
        if "tencent" in {self.image_provider, self.model_provider}:
            for name in ("tencentcloud_secret_id", "tencentcloud_secret_key"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name.upper()}: is needed where a provider is tencent")
        if self.tencent_model_edition == "rapid" and self.tencent_generate_type not in {"Normal", "Geometry"}:
            raise ValueError("TENCENT_GENERATE_TYPE: must be Normal or Geometry where TENCENT_MODEL_EDITION is rapid")
        if self.tencent_model_version == "3.1" and self.tencent_generate_type == "LowPoly":
            raise ValueError("TENCENT_GENERATE_TYPE: LowPoly needs TENCENT_MODEL_VERSION 3.0")
        if self.jwt_secret is not None and self.jwt_jwks_url is not None:
            raise ValueError("JWT_JWKS_URL: is set beside JWT_SECRET; set one of the two")
        for name in ("s3_endpoint_url", "s3_public_url"):
            if getattr(self, name) is not None and self.s3_bucket is None:
                raise ValueError(f"S3_BUCKET: is needed where {name.upper()} is set")
        return self

    @property
    def authenticates(self) -> bool:
        """Whether callers show tokens. Without, there is one user, `local`."""
        return self.jwt_secret is not None or self.jwt_jwks_url is not None

    @property
    def secrets(self) -> list[SecretStr]:
        """What must be shown to nobody."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value for value in values if isinstance(value, SecretStr)]

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.get_secret_value().startswith("sqlite")


def load() -> Settings:
    """Read the settings; raises `SettingsError` naming the first setting that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{first['loc'][0]!s}".upper() + f": {message}" if first["loc"] else message) from None
