"""The Retry-After header of RFC 9110: seconds, or a date."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 3600.0


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, 0 to LONGEST_SECONDS; None where the header is missing or makes no sense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), LONGEST_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_SECONDS)
