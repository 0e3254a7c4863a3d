"""Whether a moment in a row has come, on clocks that are set back now and then, and differ between machines.

Nothing here is written more than some minutes ahead. What lies further ahead was written before the clock was set back,
and has come long ago.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, or_

from events.status import JobStatus

FAR = timedelta(minutes=10)
"""More than the longest lease, and than LONGEST_PAUSE_SECONDS."""
LONGEST_PAUSE_SECONDS = 300.0
"""Before another attempt, whatever a provider asks for: a moment beyond FAR has come already."""


def has_come(moment: datetime, now: datetime) -> bool:
    return not now < moment <= now + FAR


def come(column: ColumnElement[Any], now: datetime) -> ColumnElement[bool]:
    """The same of a column."""
    return or_(column <= now, column > now + FAR)


def is_due(row: Any, now: datetime) -> bool:
    """Whether a job may be claimed. One that has not failed yet waits for no clock to get there."""
    return row.status is JobStatus.PENDING and (row.failure is None or has_come(row.available_at, now))


def due(table: FromClause, now: datetime) -> ColumnElement[bool]:
    """The same of a table's rows."""
    return and_(table.c.status == JobStatus.PENDING, or_(table.c.failure.is_(None), come(table.c.available_at, now)))
