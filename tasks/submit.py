"""Submitting a job to a provider whose jobs go on by themselves: once, whoever stops or dies on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from db import jobs
from db.jobs import Lease, LeaseLost
from events.outcome import FailureCode
from providers.protocol import ProviderError
from tasks.attempt import Stopping, patiently, write_down
from tasks.worker_context import WorkerContext

REFUSED_POLLS = 5
"""So many polls in a row may be refused before the attempt fails: a key is changed, a clock is set."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The words for a submit whose outcome is unknown: `provider` may have made `thing`; `again` is the user's way."""

    provider: str
    thing: str
    again: str

    def unknown(self, what_happened: str) -> ProviderError:
        return ProviderError(
            FailureCode.OUTCOME_UNKNOWN,
            f"The {self.provider} was asked, and {what_happened}; it may have made, and billed, {self.thing}. "
            f"{self.again} if you want to ask once more.",
            retryable=False,
        )


def check_not_lost(begun: bool, provider: object, asked: Asked) -> None:
    """Raise OUTCOME_UNKNOWN where an earlier submit was begun, its answer is lost, and asking again may cost."""
    if begun and not getattr(provider, "free", False):
        raise asked.unknown("its answer was lost")


async def submit_once(
    context: WorkerContext, lease: Lease, deadline: asyncio.Timeout, submit: Callable[[], Awaitable[str]], asked: Asked
) -> str:
    """Submit, and keep the provider's id of the job, which is returned.

    A crash between here and the provider's answer is seen by whoever takes the job over. Raises `ProviderError`, and
    `LeaseLost`.
    """
    await patiently(lambda: jobs.begin_submit(context.database, lease))
    try:
        job_id = await submit()
    except ProviderError as error:
        if error.failure.code is not FailureCode.OUTCOME_UNKNOWN:
            await write_down(deadline, lambda: jobs.forget_submit(context.database, lease))
        raise
    except (asyncio.CancelledError, LeaseLost):
        raise
    except Exception as error:
        raise asked.unknown("did not answer clearly") from error
    await write_down(deadline, lambda: jobs.note_submitted(context.database, lease, job_id))
    return job_id


class Polls:
    """Asking after a job. It is paid for and goes on at the provider's, so that few polls that fail end an attempt.

    The pauses, in seconds, grow by `growth` from `first` to `longest`.
    """

    def __init__(self, context: WorkerContext, lease: Lease, first: float, longest: float, growth: float) -> None:
        self._context = context
        self._lease = lease
        self._pause = min(first, longest)
        self._longest = longest
        self._growth = growth
        self._refused = 0

    async def wait(self) -> None:
        """Let the provider go on for a while; raises `Stopping` if this worker stops meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._context.stopping.wait()
            raise Stopping
        self._pause = min(self._pause * self._growth, self._longest)

    def answered(self) -> None:
        self._refused = 0

    async def failed(self, error: ProviderError) -> None:
        """Return where the job is to be asked after again; raises the error where the attempt has failed."""
        if error.job_ended and error.failure.retryable:
            await patiently(lambda: jobs.forget_submit(self._context.database, self._lease))
        self._refused += error.failure.code is FailureCode.PROVIDER_MISCONFIGURED
        if error.job_ended or not (error.failure.retryable or 0 < self._refused < REFUSED_POLLS):
            raise error
        self._pause = max(self._pause, error.retry_after or 0)
