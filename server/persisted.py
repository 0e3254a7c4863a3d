"""Apollo's automatic persisted queries: a client sends a query's hash, and the query only where that is not known.

https://www.apollographql.com/docs/apollo-server/performance/apq
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError

from resolvers.documents import Refused
from schema.errors import bad_input

VERSION = 1
ENTRY_BYTES = 300


class PersistedQueries:
    """Valid queries by their SHA-256, the ones used last, up to so many bytes; none for a limit of 0."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._texts: OrderedDict[str, str] = OrderedDict()

    def digest_of(self, extensions: Mapping[str, Any] | None) -> str | None:
        """The hash that a client sends, None if it sends none; raises `Refused` for what is not understood."""
        sent = (extensions or {}).get("persistedQuery")
        if sent is None:
            return None
        if not isinstance(sent, dict) or sent.get("version") != VERSION or not self._limit:
            # The words and the code that Apollo's clients look for: they send the whole query from then on.
            raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
        digest = sent.get("sha256Hash")
        if not isinstance(digest, str):
            raise Refused(bad_input("`extensions.persistedQuery.sha256Hash` must be text."))
        return digest

    def text_of(self, digest: str, text: str | None) -> str:
        """The query of that hash, which must be its hash if it was sent as well; raises `Refused`."""
        if text is not None:
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                raise Refused(bad_input("`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`."))
            return text
        if digest not in self._texts:
            raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        return self._texts[digest]

    def keep(self, digest: str, text: str) -> None:
        if digest not in self._texts:
            self._texts[digest] = text
            self._size += _size(text)
        self._texts.move_to_end(digest)
        while self._size > self._limit:
            _, dropped = self._texts.popitem(last=False)
            self._size -= _size(dropped)


def _size(text: str) -> int:
    """The bytes that a query takes here, with its hash and their places."""
    return sys.getsizeof(text) + ENTRY_BYTES


def _refused(message: str, code: str) -> Refused:
    return Refused(GraphQLError(message, extensions={"code": code}))
