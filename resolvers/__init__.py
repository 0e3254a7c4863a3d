"""The API: its types from `schema`, put to work. `strawberry export-schema resolvers` prints it."""

from __future__ import annotations

from resolvers.api import schema

__all__ = ["schema"]
