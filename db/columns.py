"""Column types that mean the same on SQLite and on MySQL or MariaDB.

What `load_dialect_impl` gives is made once: SQLAlchemy remembers what it works out for a type by the instance, and asks
for this one with every list of ids.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, String, TypeDecorator
from sqlalchemy.dialects import mysql


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC with microseconds."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_MYSQL_DATETIME if dialect.name in MYSQL else _DATETIME)

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Enumerated(TypeDecorator[StrEnum]):
    """A member of an enum by its value. No check constraint: a new member needs no migration."""

    impl = String(24)
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: StrEnum | None, _dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, _dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.members(value)


class Exact(TypeDecorator[str]):
    """Text that equals only itself: MySQL folds case, accents and trailing spaces, and two users would be one."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.VARBINARY(4 * self.length))
        return dialect.type_descriptor(String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value.encode() if value is not None and dialect.name in MYSQL else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


class Identifier(TypeDecorator[str]):
    """An id. What has other characters than ASCII is none and equals none: MySQL would raise an error instead."""

    impl = String(40)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_MYSQL_IDENTIFIER if dialect.name in MYSQL else _IDENTIFIER)

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return value if value is None or value.isascii() else ""


MYSQL = frozenset({"mysql", "mariadb"})
_DATETIME, _MYSQL_DATETIME = DateTime(), mysql.DATETIME(fsp=6)
_IDENTIFIER, _MYSQL_IDENTIFIER = String(40), String(40, collation="ascii_bin")
