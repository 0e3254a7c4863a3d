"""The scalars beside GraphQL's own."""

from __future__ import annotations

from datetime import datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from events.types import rfc3339

BigInt = NewType("BigInt", int)

SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment as RFC 3339, in UTC, with milliseconds: `2025-12-11T12:00:00.000Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=rfc3339,
        parse_value=datetime.fromisoformat,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number up to 2^53-1, as a JSON number.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259#section-6",
        serialize=int,
        parse_value=int,
    ),
}
