"""The GraphQL types, inputs and errors, made from rows; `resolvers` puts them to work."""

from __future__ import annotations

# The enums get their descriptions before the first type that uses one is declared.
import schema.enums  # noqa: F401
