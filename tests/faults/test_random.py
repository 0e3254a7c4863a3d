"""Faults at random moments while requests flow: nothing is lost, doubled, paid twice, orphaned or missing."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.lives import Lives
from tests.faults.schedule import Schedule
from tests.faults.system import System

USERS = 4
QUICK_SECONDS = 15.0


async def under_fire(system: System, seed: int, seconds: float, users: int) -> None:
    schedule = Schedule(system, seed)
    lives = Lives(system, seed, users)
    print(f"SEED={seed}")  # noqa: T201  # what a failure is repeated with
    try:
        await lives.run_while(asyncio.to_thread(schedule.run_for, seconds))
        await lives.audit()
    finally:
        print(f"{len(lives.lives)} requests", *schedule.told, sep="\n")  # noqa: T201  # how it came to that
        await lives.aclose()


async def test_a_few_faults(system: System, seed: int) -> None:
    await under_fire(system, seed, QUICK_SECONDS, USERS)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_many_faults(system: System, seed: int, minutes: float) -> None:
    await under_fire(system, seed, minutes * 60, 2 * USERS)
