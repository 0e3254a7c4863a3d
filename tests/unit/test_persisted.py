from __future__ import annotations

import hashlib

import pytest

from resolvers.documents import Refused
from server.persisted import PersistedQueries


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def extensions(text, **more):
    return {"persistedQuery": {"version": 1, "sha256Hash": digest(text), **more}}


def code(call, *arguments):
    with pytest.raises(Refused) as refused:
        call(*arguments)
    return refused.value.errors[0].extensions["code"]


def test_a_query_is_found_by_its_hash_once_it_was_sent():
    store = PersistedQueries(1000)
    found = store.digest_of(extensions("{ a }"))
    assert code(store.text_of, found, None) == "PERSISTED_QUERY_NOT_FOUND"
    assert store.text_of(found, "{ a }") == "{ a }"
    store.keep(found, "{ a }")
    assert store.text_of(found, None) == "{ a }"


def test_what_is_kept_is_bounded_and_the_last_used_stay():
    store = PersistedQueries(1_300)
    texts = [f"{{ {letter} }}" + "#" * 25 for letter in "abcd"]
    for text in texts[:3]:
        store.keep(digest(text), text)
    store.keep(digest(texts[0]), texts[0])
    store.keep(digest(texts[3]), texts[3])
    assert code(store.text_of, digest(texts[1]), None) == "PERSISTED_QUERY_NOT_FOUND"
    assert [store.text_of(digest(text), None) for text in (texts[0], texts[2], texts[3])]
    store.keep(digest("x" * 2_000), "x" * 2_000)
    for text in [*texts, "x" * 2_000]:
        assert code(store.text_of, digest(text), None) == "PERSISTED_QUERY_NOT_FOUND"
    store.keep(digest(texts[0]), texts[0])
    assert store.text_of(digest(texts[0]), None) == texts[0]


def test_what_is_not_understood_is_said_so():
    store = PersistedQueries(1000)
    assert store.digest_of(None) is store.digest_of({}) is store.digest_of({"persistedQuery": None}) is None
    for bad in (7, [], {}, {"version": 2}, {"version": "1"}):
        assert code(store.digest_of, {"persistedQuery": bad}) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert code(store.digest_of, {"persistedQuery": {"version": 1}}) == "BAD_USER_INPUT"
    assert code(store.text_of, digest("{ a }"), "{ b }") == "BAD_USER_INPUT"
    assert code(PersistedQueries(0).digest_of, extensions("{ a }")) == "PERSISTED_QUERY_NOT_SUPPORTED"
