"""One attempt at a job: the lease renewed while it lasts, its deadline, and what becomes of it when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from dramatiq import Message

from db import files, jobs
from db.due import LONGEST_PAUSE_SECONDS
from db.jobs import Lease, LeaseLost
from db.session import is_unavailable
from events.clock import utc_now
from events.outcome import Failure, FailureCode
from providers.protocol import ProviderError
from providers.quote import LONGEST, shown
from settings import Settings
from storage import StorageUnavailable
from tasks.files import delete_prefix
from tasks.worker_context import WorkerContext

RENEWALS_PER_LEASE = 3
PAUSES_PER_LEASE = 30
"""A renewal that failed is tried again after a thirtieth of the lease: the database may be back before its end."""
LEAST_PATIENCE_SECONDS = 2.0
WRITING_SECONDS = 3600.0
"""An outage may be so long. What seems to be one, and is none, must end some day."""
BUSY_SECONDS = 5.0
DATABASE_PAUSE_SECONDS = 0.5
LONGEST_MESSAGE = 1_000

log = structlog.get_logger(__name__)

T = TypeVar("T")


def patience_seconds(lease_seconds: float) -> float:
    """How long a renewal may take: less than the database is waited for elsewhere."""
    return max(LEAST_PATIENCE_SECONDS, lease_seconds / (2 * RENEWALS_PER_LEASE))


class Stopping(Exception):
    """This worker stops: the job is given back where it stands."""


async def attempt(
    context: WorkerContext,
    lease: Lease,
    work: Callable[[asyncio.Timeout], Awaitable[None]],
    fail: Callable[[Failure], Awaitable[None]],
    message: Message[None],
) -> bool:
    """Do `work` once, until its deadline, which it is given, and write what became of it; True if it succeeded.

    `fail` writes the end of a job that is not to be tried again; `message` is what sends it again.
    """
    logger = log.bind(job=lease.job_id, attempt=lease.attempt)
    try:
        try:
            async with _keeping(context, lease) as deadline:
                await work(deadline)
            return True
        except LeaseLost:
            raise
        except (Stopping, asyncio.CancelledError):
            _clear_cancellation()
            # Where the database is away, the lease runs out instead.
            await patiently(lambda: jobs.give_back(context.database, lease), context.stopping)
            logger.info("job left undone")
        except Exception as error:  # whatever went wrong, the job must not hang
            failure, retry_after = _failure(error, context.settings)
            if failure.code is FailureCode.INTERNAL:
                logger.exception("job failed unexpectedly", exc_info=error)
            if isinstance(error, StorageUnavailable):
                logger.warning("a file could not be stored or read", error=str(error))
            await patiently(lambda: _after_failure(context, lease, failure, retry_after, fail, message))
            logger.info("attempt failed", code=failure.code.value, reason=failure.message)
    except LeaseLost:
        logger.info("job lost: its lease was revoked, or it was cancelled or deleted")
    return False


async def discard(context: WorkerContext, prefix: str, is_kept: Callable[[], Awaitable[bool]]) -> None:
    """Delete what an attempt has stored that did not succeed, at once or, where that fails, later.

    It may have succeeded all the same: a commit whose answer was lost looks like a lease that is.
    """

    async def delete() -> None:
        if await is_kept():
            return
        if not await delete_prefix(context.resources, prefix):
            # It was noted when the lease ended; of one that was lost long ago, that is forgotten by now.
            await files.note(context.database, prefix)

    await patiently(delete, context.stopping)


async def patiently(step: Callable[[], Awaitable[T]], stopping: asyncio.Event | None = None) -> T | None:
    """Do a step in the database, waiting while it is away: what was done must not be done, or paid, twice.

    Once `stopping` is set, it is not waited for any longer: None.
    """
    while True:
        try:
            return await step()
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("the database is away; a worker waits for it", error=str(error))
        if stopping is None:
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DATABASE_PAUSE_SECONDS):
                await stopping.wait()
            return None


async def write_down(deadline: asyncio.Timeout, step: Callable[[], Awaitable[object]]) -> None:
    """Write what a provider has said, waiting for the database for an hour: the deadline stands still meanwhile."""
    loop, when = asyncio.get_running_loop(), deadline.when()
    assert when is not None
    begun = loop.time()
    held = begun + WRITING_SECONDS
    if not deadline.expired():
        deadline.reschedule(held)
    await patiently(step)
    if deadline.when() == held:  # and the lease was not lost just now
        deadline.reschedule(when + loop.time() - begun)


@asynccontextmanager
async def _keeping(context: WorkerContext, lease: Lease) -> AsyncIterator[asyncio.Timeout]:
    """Keep the lease while the block runs, and end the block at the deadline, which it gives, or when it is lost.

    Where the block does not end at its deadline, as when a storage hangs, the lease runs out.
    """
    lost = False
    seconds = (lease.deadline_at - utc_now()).total_seconds()
    too_late = ProviderError(FailureCode.TIMED_OUT, "This took longer than it may.", retryable=True)
    if seconds <= 0:
        raise too_late

    async def renew(deadline: asyncio.Timeout) -> None:
        nonlocal lost
        whole = context.settings.lease_seconds
        pause = whole / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(pause)
            when = deadline.when()
            if when is not None and when + whole < asyncio.get_running_loop().time():
                return
            try:
                async with asyncio.timeout(patience_seconds(whole)):
                    await jobs.renew(context.database, lease, whole)
                pause = whole / RENEWALS_PER_LEASE
            except LeaseLost:
                lost = True
                with contextlib.suppress(RuntimeError):  # it is over just now
                    deadline.reschedule(asyncio.get_running_loop().time())
                return
            except Exception as error:  # the next round tries again
                pause = whole / PAUSES_PER_LEASE
                log.warning("a lease could not be renewed", job=lease.job_id, error=str(error) or type(error).__name__)

    task = asyncio.current_task()
    assert task is not None
    context.in_hand.add(task)
    try:
        async with asyncio.timeout(seconds) as deadline:
            renewal = asyncio.create_task(renew(deadline))
            try:
                yield deadline
            finally:
                renewal.cancel()
    except TimeoutError:
        if lost:
            raise LeaseLost(lease.job_id) from None
        if deadline.expired():
            raise too_late from None
        raise
    finally:
        context.in_hand.discard(task)


def _clear_cancellation() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _failure(error: Exception, settings: Settings) -> tuple[Failure, float | None]:
    if isinstance(error, ProviderError):
        secrets = settings.secrets
        found = error.failure
        # A service, or a provider of somebody's own, may repeat what it was sent.
        code, request_id = (
            None if words is None else shown(words, LONGEST, *secrets)
            for words in (found.provider_code, found.provider_request_id)
        )
        message = shown(found.message, LONGEST_MESSAGE, *secrets)
        return Failure(found.code, message, found.retryable, code, request_id), error.retry_after
    if isinstance(error, StorageUnavailable):
        # It names settings, folders and hosts, which are no user's business.
        told = "The files could not be stored or read just now; the log says why."
        return Failure(
            FailureCode.STORAGE_UNAVAILABLE, told if settings.authenticates else str(error), retryable=True
        ), None
    return Failure(
        FailureCode.INTERNAL, "Something went wrong inside Maquette; the log says what.", retryable=True
    ), None


async def _after_failure(
    context: WorkerContext,
    lease: Lease,
    failure: Failure,
    retry_after: float | None,
    fail: Callable[[Failure], Awaitable[None]],
    message: Message[None],
) -> None:
    busy = failure.code is FailureCode.PROVIDER_BUSY
    if not busy and (not failure.retryable or lease.attempt >= lease.max_attempts):
        await fail(failure)
        return
    base = BUSY_SECONDS if busy else context.settings.retry_seconds * 2 ** (lease.attempt - 1)
    pause = min(max(base * random.uniform(0.75, 1.25), retry_after or 0), LONGEST_PAUSE_SECONDS)  # noqa: S311  # jitter
    await jobs.back_off(context.database, lease, failure, pause, counts=not busy)
    context.resources.sender.send_later(pause, message)
