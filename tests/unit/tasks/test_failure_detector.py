"""When a lease that ran out tells that its worker is gone, on clocks of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.sweeper import FailureDetector

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

    def detector(self, *, waits_at_first: bool = False) -> FailureDetector:
        return FailureDetector(
            LEASE_SECONDS,
            SWEEP_SECONDS,
            waits_at_first=waits_at_first,
            utc_now=lambda: self.day,
            monotonic=lambda: self.steady,
        )


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def detector(clocks: Clocks) -> FailureDetector:
    return clocks.detector()


def tells(detector: FailureDetector) -> bool:
    with detector.look() as silent_by:
        return silent_by is not None


def told(detector: FailureDetector, clocks: Clocks, pause: float, count: int) -> list[bool]:
    found = []
    for _ in range(count):
        found.append(tells(detector))
        clocks.passes(pause)
    return found


def fails(detector: FailureDetector) -> None:
    with pytest.raises(ConnectionError), detector.look():
        raise ConnectionError


def test_it_tells_in_the_ordinary_run(detector: FailureDetector, clocks: Clocks) -> None:
    assert all(told(detector, clocks, 1.2 * SWEEP_SECONDS, 10))


def test_it_does_not_when_a_process_begins(clocks: Clocks) -> None:
    detector = clocks.detector(waits_at_first=True)
    assert told(detector, clocks, SWEEP_SECONDS, 5) == [False, False, False, True, True]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_leap_of_the_clock(detector: FailureDetector, clocks: Clocks, hours: int) -> None:
    assert tells(detector)
    clocks.day += timedelta(hours=hours)
    assert told(detector, clocks, RENEWED_IN / 3, 5) == [False, False, False, True, True]


def test_a_second_leap_before_the_first_is_made_good(detector: FailureDetector, clocks: Clocks) -> None:
    clocks.day += timedelta(hours=1)
    assert told(detector, clocks, RENEWED_IN / 3, 3) == [False, False, False]
    clocks.day -= timedelta(hours=1)
    assert told(detector, clocks, RENEWED_IN / 3, 4) == [False, False, False, True]


@pytest.mark.parametrize("seconds", [25, 40, 3600])
def test_a_database_that_is_away(detector: FailureDetector, clocks: Clocks, seconds: int) -> None:
    assert tells(detector)
    for _ in range(seconds // SWEEP_SECONDS):
        clocks.passes(SWEEP_SECONDS)
        fails(detector)
    clocks.passes(SWEEP_SECONDS)
    assert told(detector, clocks, RENEWED_IN / 3, 4) == [False, False, False, True]


def test_a_look_that_takes_long(detector: FailureDetector, clocks: Clocks) -> None:
    with detector.look():
        clocks.passes(40)
    clocks.passes(SWEEP_SECONDS)
    assert not tells(detector)


def test_where_every_look_is_late_it_tells_now_and_then(detector: FailureDetector, clocks: Clocks) -> None:
    clocks.passes(12)
    assert told(detector, clocks, 12, 7) == [False, False, True, False, False, True, False]
