"""Whether the process lives, and whether what it needs answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog
from redis.asyncio import Redis
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse

from server.state import State
from tasks.resources import Resources

CHECK_SECONDS = 3.0

log = structlog.get_logger(__name__)


async def healthz(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    state = State.of(request)
    checks = await check_all(state.resources)
    ready = all(problem is None for problem in checks.values())
    if not ready:
        log.warning("not ready", **{name: problem for name, problem in checks.items() if problem})
    # What is wrong may name hosts, users and folders, and where there are users, all of them may ask here.
    hidden = "unavailable; the log says why" if state.resources.settings.authenticates else None
    found = {name: (hidden or problem) if problem else "ok" for name, problem in checks.items()}
    body = {"status": "ok" if ready else "unavailable", **found}
    return JSONResponse(body, status_code=200 if ready else 503)


async def check_all(resources: Resources) -> dict[str, str | None]:
    """What does not answer, by name: one line for each, None where it does."""
    checks = {"database": _database(resources), "storage": resources.storage.check()}
    if resources.settings.redis_url is not None:
        checks["redis"] = _redis(resources.settings.redis_url.get_secret_value())
    return dict(zip(checks, await asyncio.gather(*map(_problem, checks.values())), strict=True))


async def _problem(check: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} seconds"
    except Exception as error:  # every failure is an answer here
        return (str(error) or type(error).__name__).splitlines()[0]
    return None


async def _database(resources: Resources) -> None:
    async with resources.database.reading() as connection:
        await connection.execute(text("SELECT 1"))


async def _redis(url: str) -> None:
    async with Redis.from_url(url, socket_timeout=CHECK_SECONDS, socket_connect_timeout=CHECK_SECONDS) as client:
        await client.ping()
