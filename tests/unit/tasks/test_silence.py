"""When a lease that ran out tells that its worker is gone, on clocks of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tasks.sweeper import Silence

LEASE_SECONDS, SWEEP_SECONDS = 30, 5
RENEWED_IN = 15
"""A third of the lease until it is renewed again, and what a renewal may take."""


class Clocks:
    """The time of day, and one that no leap changes."""

    def __init__(self) -> None:
        self.day = datetime(2026, 1, 1, tzinfo=UTC)
        self.steady = 1000.0

    def passes(self, seconds: float) -> None:
        self.steady += seconds
        self.day += timedelta(seconds=seconds)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr("tasks.sweeper.utc_now", lambda: clocks.day)
    monkeypatch.setattr("tasks.sweeper.time", SimpleNamespace(monotonic=lambda: clocks.steady))
    return clocks


@pytest.fixture
def silence(clocks: Clocks) -> Silence:
    return Silence(LEASE_SECONDS, SWEEP_SECONDS, waits_at_first=False)


def tells(silence: Silence) -> bool:
    with silence.look() as silent_by:
        return silent_by is not None


def told(silence: Silence, clocks: Clocks, pause: float, count: int) -> list[bool]:
    found = []
    for _ in range(count):
        found.append(tells(silence))
        clocks.passes(pause)
    return found


def fails(silence: Silence) -> None:
    with pytest.raises(ConnectionError), silence.look():
        raise ConnectionError


def test_it_tells_in_the_ordinary_run(silence: Silence, clocks: Clocks) -> None:
    assert all(told(silence, clocks, 1.2 * SWEEP_SECONDS, 10))


def test_it_does_not_when_a_process_begins(clocks: Clocks) -> None:
    silence = Silence(LEASE_SECONDS, SWEEP_SECONDS, waits_at_first=True)
    assert told(silence, clocks, SWEEP_SECONDS, 5) == [False, False, False, True, True]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_leap_of_the_clock(silence: Silence, clocks: Clocks, hours: int) -> None:
    assert tells(silence)
    clocks.day += timedelta(hours=hours)
    assert told(silence, clocks, RENEWED_IN / 3, 5) == [False, False, False, True, True]


def test_a_second_leap_before_the_first_is_made_good(silence: Silence, clocks: Clocks) -> None:
    clocks.day += timedelta(hours=1)
    assert told(silence, clocks, RENEWED_IN / 3, 3) == [False, False, False]
    clocks.day -= timedelta(hours=1)
    assert told(silence, clocks, RENEWED_IN / 3, 4) == [False, False, False, True]


@pytest.mark.parametrize("seconds", [25, 40, 3600])
def test_a_database_that_is_away(silence: Silence, clocks: Clocks, seconds: int) -> None:
    assert tells(silence)
    for _ in range(seconds // SWEEP_SECONDS):
        clocks.passes(SWEEP_SECONDS)
        fails(silence)
    clocks.passes(SWEEP_SECONDS)
    assert told(silence, clocks, RENEWED_IN / 3, 4) == [False, False, False, True]


def test_a_look_that_takes_long(silence: Silence, clocks: Clocks) -> None:
    with silence.look():
        clocks.passes(40)
    clocks.passes(SWEEP_SECONDS)
    assert not tells(silence)


def test_where_every_look_is_late_it_tells_now_and_then(silence: Silence, clocks: Clocks) -> None:
    clocks.passes(12)
    assert told(silence, clocks, 12, 7) == [False, False, True, False, False, True, False]
