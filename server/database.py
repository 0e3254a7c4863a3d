"""The database as a command finds it when it starts: waited for, and with its tables."""

from __future__ import annotations

import asyncio
import time

import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError

from db.migrate import is_current, migrate
from db.session import Database, is_unavailable
from settings import Settings, SettingsError

ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 1.0
# Access denied to the database, to the user, from this host, by the socket's user; no such database.
REFUSALS = {1044, 1045, 1049, 1130, 1698}

log = structlog.get_logger(__name__)


async def prepare_database(database: Database, settings: Settings) -> None:
    """Embedded, bring the tables up to date; served, see that they are. Raises `SettingsError`."""
    if await reach(database, settings):
        return
    if settings.is_sqlite:
        await migrate(database)
    else:
        raise SettingsError("DATABASE_URL: the tables are not up to date; run `maquette migrate` first")


async def reach(database: Database, settings: Settings) -> bool:
    """Whether the tables are up to date, once the database answers. Raises `SettingsError`.

    One that is started beside this process is waited for, DATABASE_WAIT_SECONDS long; one that refuses is not.
    """
    give_up = time.monotonic() + settings.database_wait_seconds
    waited = False
    while True:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await is_current(database)
        except Exception as error:
            if not _says_what_is_wrong(error, settings):
                raise
            if settings.is_sqlite or _is_refusal(error) or time.monotonic() >= give_up:
                raise SettingsError(advice(settings, error, settings.database_wait_seconds)) from error
            if not waited:
                log.warning("waiting for the database", seconds=settings.database_wait_seconds, error=_reason(error))
            waited = True
        await asyncio.sleep(min(PAUSE_SECONDS, max(0.0, give_up - time.monotonic())))


def _says_what_is_wrong(error: Exception, settings: Settings) -> bool:
    return is_unavailable(error) or (settings.is_sqlite and isinstance(error, DatabaseError))


def advice(settings: Settings, error: Exception, seconds: float) -> str:
    """What is wrong with a database that has not answered for `seconds`, and what to do, without its password."""
    url = make_url(settings.database_url.get_secret_value()).set(query={}).render_as_string(hide_password=True)
    if settings.is_sqlite:
        return f"DATABASE_URL: {url} cannot be used: {_reason(error)}; mend the file or its folder, or name another"
    if _is_refusal(error):
        return f"DATABASE_URL: {url} refuses: {_reason(error)}; correct user, password and database, or grant the right"
    if not is_unavailable(error):
        return f"DATABASE_URL: {url} cannot be used: {type(error).__name__}: {_reason(error)}; correct it"
    return (
        f"DATABASE_URL: {url} did not answer within {seconds:g} seconds: {_reason(error)}; "
        "start the database, or correct the address"
    )


def _code_and_message(error: Exception) -> tuple[object, str]:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code, *rest = getattr(cause, "args", None) or (None,)
    return code, str(rest[0]) if rest else str(cause)


def _is_refusal(error: Exception) -> bool:
    return _code_and_message(error)[0] in REFUSALS


def _reason(error: Exception) -> str:
    return " ".join(_code_and_message(error)[1].split()) or "no answer"
