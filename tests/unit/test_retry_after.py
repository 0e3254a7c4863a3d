from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.retry_after import LONGEST_SECONDS, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("7", 7),
        (" 0 ", 0),
        ("999999", LONGEST_SECONDS),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("Sat, 02 Jan 2027 03:00:00 GMT", LONGEST_SECONDS),
        ("soon", None),
        ("-3", None),
        ("²", None),
        ("", None),
    ],
)
def test_reads_seconds_and_dates(value, expected):
    assert retry_after(value, NOW) == expected
