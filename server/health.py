"""Whether the process lives, and whether what it needs answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse

from server.database import advice
from server.state import State
from settings import Settings
from storage import StorageUnavailable
from tasks.resources import Resources

CHECK_SECONDS = 3.0

log = structlog.get_logger(__name__)


async def healthz(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


class Readiness:
    """Answers whether what this process needs answers.

    Anyone may ask, and a look makes connections and a file: all who ask at the same time share one.
    """

    def __init__(self) -> None:
        self._look: asyncio.Task[dict[str, str | None]] | None = None

    async def readyz(self, request: Request) -> JSONResponse:
        resources = State.of(request).resources
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(_look(resources))
        checks = await asyncio.shield(self._look)
        ready = not any(checks.values())
        # What is wrong may name hosts, users and folders, and where there are users, all of them may ask here.
        hidden = "unavailable; the log says why" if resources.settings.authenticates else None
        found = {name: (hidden or problem) if problem else "ok" for name, problem in checks.items()}
        body = {"status": "ok" if ready else "unavailable", **found}
        return JSONResponse(body, status_code=200 if ready else 503)


async def _look(resources: Resources) -> dict[str, str | None]:
    checks = await check_all(resources)
    if any(checks.values()):
        log.warning("not ready", **{name: problem for name, problem in checks.items() if problem})
    return checks


async def check_all(resources: Resources) -> dict[str, str | None]:
    """What does not answer, by name: one line for each that names the setting, None where it does."""
    settings = resources.settings
    checks = {
        "database": _problem(_database(resources), lambda error: advice(settings, error, CHECK_SECONDS)),
        "storage": _problem(resources.storage.check(), lambda error: _storage_advice(settings, error)),
    }
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        checks["redis"] = _problem(_redis(url), lambda error: _redis_advice(url, error))
    return dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))


async def _problem(check: Awaitable[None], explain: Callable[[Exception], str]) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except Exception as error:  # every failure is an answer here
        return " ".join(explain(error).split())
    return None


async def _database(resources: Resources) -> None:
    async with resources.database.reading() as connection:
        await connection.execute(text("SELECT 1"))


async def _redis(url: str) -> None:
    async with Redis.from_url(url, socket_timeout=CHECK_SECONDS, socket_connect_timeout=CHECK_SECONDS) as client:
        await client.ping()


def _storage_advice(settings: Settings, error: Exception) -> str:
    if isinstance(error, StorageUnavailable):
        return str(error)
    setting = "STORAGE_DIR" if settings.s3_bucket is None else "S3_ENDPOINT_URL"
    if isinstance(error, TimeoutError):
        return f"{setting}: no answer within {CHECK_SECONDS:g} seconds; see to the disk or the service behind it"
    return f"{setting}: {type(error).__name__}: {error}"


def _redis_advice(url: str, error: Exception) -> str:
    parts = urlsplit(url)
    where = f"REDIS_URL: {parts.hostname}:{parts.port or 6379}"
    match error:
        case AuthenticationError() | NoPermissionError():
            return f"{where} refuses: {str(error).rstrip('.')}; correct user and password, or grant the right"
        case BusyLoadingError():
            return f"{where} is still loading its data; wait"
        case RedisConnectionError() | RedisTimeoutError() | OSError():
            # A TimeoutError of Python's own is an OSError without words.
            reason = str(error).rstrip(".") or f"no answer within {CHECK_SECONDS:g} seconds"
            return f"{where} cannot be reached: {reason}; start Redis, or correct the address"
    return f"{where} cannot be used: {error}; correct the URL, or mend the server"
