"""When a lease that ran out tells that its worker is gone, on clocks of the test's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tasks.sweeper import Silence

LEASE_SECONDS, SWEEP_SECONDS = 30, 5
RENEWAL_SECONDS = LEASE_SECONDS / 3


class Clocks:
    """The time of day, and the loop's, which no leap changes."""

    def __init__(self) -> None:
        self.day = datetime(2026, 1, 1, tzinfo=UTC)
        self.loop = 1000.0

    def time(self) -> float:
        return self.loop

    def passes(self, seconds: float) -> None:
        self.loop += seconds
        self.day += timedelta(seconds=seconds)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr("tasks.sweeper.utc_now", lambda: clocks.day)
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clocks)
    return clocks


@pytest.fixture
def silence(clocks: Clocks) -> Silence:
    return Silence(LEASE_SECONDS, SWEEP_SECONDS)


def tells(silence: Silence) -> bool:
    with silence.look() as silent_by:
        return silent_by is not None


def fails(silence: Silence) -> None:
    with pytest.raises(ConnectionError), silence.look():
        raise ConnectionError


def test_it_tells_in_the_ordinary_run(silence: Silence, clocks: Clocks) -> None:
    for _ in range(10):
        assert tells(silence)
        clocks.passes(1.2 * SWEEP_SECONDS)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_leap_of_the_clock(silence: Silence, clocks: Clocks, hours: int) -> None:
    assert tells(silence)
    clocks.day += timedelta(hours=hours)
    told = []
    for _ in range(5):
        told.append(tells(silence))
        clocks.passes(RENEWAL_SECONDS / 2)
    assert told == [False, False, True, True, True]


def test_a_database_that_is_away(silence: Silence, clocks: Clocks) -> None:
    assert tells(silence)
    for _ in range(10):
        clocks.passes(SWEEP_SECONDS)
        fails(silence)
    told = []
    for _ in range(5):
        clocks.passes(SWEEP_SECONDS)
        told.append(tells(silence))
    assert told == [False, False, True, True, True]


def test_a_look_that_takes_long(silence: Silence, clocks: Clocks) -> None:
    with silence.look():
        clocks.passes(40)
    clocks.passes(SWEEP_SECONDS)
    assert not tells(silence)


def test_what_is_always_late_tells_now_and_then(silence: Silence, clocks: Clocks) -> None:
    told = []
    for _ in range(6):
        clocks.passes(RENEWAL_SECONDS)
        told.append(tells(silence))
    assert told == [False, True] * 3
