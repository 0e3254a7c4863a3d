from __future__ import annotations

import time
from dataclasses import replace

import pytest
from graphql import get_introspection_query, graphql_sync

from resolvers import documents, schema
from resolvers.documents import Refused
from resolvers.limits import LARGEST_TYPE, TYPICAL_TYPE, Limits
from resolvers.operations import prepare

LIMITS = Limits(depth=16, aliases=30, directives=30, tokens=1_000, cost=40_000)


def codes(text, name=None, variables=None, limits=LIMITS):
    with pytest.raises(Refused) as refused:
        prepare(text, name, variables, limits)
    return {error.extensions["code"] for error in refused.value.errors}


def bomb(size):
    fragments = "".join(f"fragment f{n} on Viewer {{ ...f{n + 1} ...f{n + 1} }}" for n in range(size))
    return f"{{ viewer {{ ...f0 }} }} {fragments} fragment f{size} on Viewer {{ id }}"


def types_of_types():
    """Few words, and an answer of 46 MB."""
    of_fields = " ".join(f"a{n}: fields {{ ...F }}" for n in range(14))
    of_inner = " ".join(f"b{n}: fields {{ name description type {{ name kind }} }}" for n in range(14))
    wrapped = "type { ...G ofType { ...G ofType { ...G } } }"
    return (
        f"{{ __schema {{ types {{ ...T }} }} }} fragment T on __Type {{ {of_fields} }}"
        f"fragment F on __Field {{ {wrapped} args {{ {wrapped} }} }} fragment G on __Type {{ {of_inner} }}"
    )


HOSTILE = {
    "fragments": bomb(22),
    "more fragments": bomb(90),
    "tokens": "{" + "a " * 450_000 + "}",
    "aliases": "{ viewer {" + "a: id " * 300 + "} }",
    "repeated fields": "{" + "viewer { id } " * 200 + "}",
    "repeated fields, deep": "{ viewer { ... { ... {" + "id " * 900 + "} } } }",
    "directives": "{ viewer { id " + "@skip(if: false) " * 100 + "} }",
    "directives on variables": "query(" + "".join(f"$v{n}: Int @a @b" for n in range(50)) + ") { viewer { id } }",
    "depth": "{ a " * 100 + "}" * 100,
    "depth in fragments": "{ ...f0 }"
    + "".join(f"fragment f{n} on Query {{ a {{ ...f{n + 1} }} }}" for n in range(30))
    + "fragment f30 on Query { a }",
    "nested lists": "{ a(b: " + "[" * 400 + "]" * 400 + ") }",
    "nested types": "query($a: " + "[" * 400 + "Int" + "]" * 400 + ") { a }",
    "types of types": types_of_types(),
    "pages": "{ requests(first: 100) { edges { node {" + "models { request {" * 5 + "id" + "} }" * 5 + "} } } }",
    "events": "{ requests(first: 100) { edges { node { events(first: 500) { id } } } } }",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_hostile_is_refused_at_once(text):
    begun = time.process_time()
    assert codes(text) == {"QUERY_TOO_COMPLEX"}
    assert time.process_time() - begun < 1


def test_many_errors_on_many_lines_are_found_in_time():
    text = "\n" * 100_000 + "{ viewer(" + "a: 1 " * 300 + ") { id } }"
    begun = time.process_time()
    assert codes(text) == {"GRAPHQL_VALIDATION_FAILED"}
    assert time.process_time() - begun < 2


def test_each_limit_is_exact():
    def limited(**limit):
        return Limits(**{**dict.fromkeys(("depth", "aliases", "directives", "tokens", "cost"), 10_000), **limit})

    for text, name, size in (
        ("{ viewer { id } }", "depth", 2),
        ("{ viewer { ... on Viewer { ...F } } } fragment F on Viewer { id }", "depth", 2),
        ("{ a: viewer { b: id id id } }", "aliases", 3),
        ("{ viewer @skip(if: true) { id } }", "directives", 1),
        ("{ viewer { id @skip(if: true) ... @include(if: true) { id } } }", "directives", 2),
        ("{ viewer { id } }", "tokens", 6),
        ("{ viewer { id } }", "cost", 2),
        ("{ requests(first: 7) { totalCount edges { node { id } } } }", "cost", 1 + 1 + 1 + 7 * 2),
        ("{ requests { edges { cursor } } }", "cost", 1 + 1 + 20),
        ("{ requests(first: 3, last: 9) { edges { cursor } } }", "cost", 1 + 1 + 9),
        ("{ request(id: 1) { images { id } models { files { url } } } }", "cost", 1 + 1 + 4 + 1 + 4 * (1 + 4)),
        ("{ request(id: 1) { events { id } } }", "cost", 1 + 1 + 100),
        ("{ node(id: 1) { id ... on Model { name } ... on GeneratedImage { prompt index } } }", "cost", 1 + 1 + 10 + 1),
        ('mutation { cancelRequest(input: {requestId: "1"}) { request { id } } }', "cost", 30),
    ):
        prepare(text, None, None, limited(**{name: size}))
        assert codes(text, limits=limited(**{name: size - 1})) == {"QUERY_TOO_COMPLEX"}, (text, name)


def test_pages_cost_what_the_variables_say():
    text = "query($first: Int = 100) { requests(first: $first) { edges { node { events(first: 500) { id name } } } } }"
    assert codes(text) == {"QUERY_TOO_COMPLEX"}
    assert codes(text, variables={"first": 60}) == {"QUERY_TOO_COMPLEX"}
    prepare(text, None, {"first": 5}, LIMITS)
    prepare(text, None, {"first": None}, LIMITS)
    # What does not fit is for the execution to say.
    prepare(text, None, {"first": "a"}, LIMITS)


def test_a_whole_number_may_be_written_as_a_fraction():
    text = "query($n: Int) { requests(first: $n) { edges { node { events(first: $n) { sequence } } } } }"
    limits = replace(LIMITS, cost=5_000)
    prepare(text, None, {"n": 20.0}, limits)
    assert codes(text, variables={"n": 100.0}, limits=limits) == {"QUERY_TOO_COMPLEX"}


def test_the_lists_of_introspection_are_no_longer_than_assumed():
    shown = graphql_sync(schema.graphql, get_introspection_query()).data
    types = shown["__schema"]["types"]
    fields = [field for type_ in types for field in type_["fields"] or []]
    for name in ("fields", "inputFields", "enumValues", "interfaces", "possibleTypes"):
        lengths = [len(type_[name] or []) for type_ in types]
        assert max(lengths) <= LARGEST_TYPE[name]
        assert sum(lengths) <= TYPICAL_TYPE[name] * len(types)
    assert len(types) <= LARGEST_TYPE["types"]
    assert max(len(field["args"]) for field in fields) <= LARGEST_TYPE["args"]
    assert sum(len(field["args"]) for field in fields) <= TYPICAL_TYPE["args"] * len(fields)


def test_introspection_passes():
    prepare(get_introspection_query(), None, None, LIMITS)
    assert codes("{ __schema { types {" + "fields { type {" * 4 + "name" + "} }" * 4 + "} } }") == {
        "GRAPHQL_VALIDATION_FAILED"
    }


def test_a_document_is_read_and_validated_once():
    text = "query Once($first: Int) { requests(first: $first) { totalCount } }"
    first = prepare(text, None, {"first": 1}, LIMITS)
    before = documents.read.cache_info()
    again = prepare(text, "Once", {"first": 2}, LIMITS)
    after = documents.read.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
    assert again.document is first.document


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ viewer { ...A } } fragment A on Viewer { ...A }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer { ...Nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment A on Viewer { id }", "GRAPHQL_VALIDATION_FAILED"),
        ("type A { b: Int }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { id } } query A { viewer { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { viewer { id } } query B { viewer { id } }", "BAD_USER_INPUT"),
        ("subscription { a: events { id } b: events { id } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_what_is_wrong_has_its_code(text, code):
    assert codes(text) == {code}


def test_errors_say_where():
    with pytest.raises(Refused) as refused:
        prepare("{\r\n  viewer {\n\r    id\n    nothing } }", None, None, LIMITS)
    assert refused.value.errors[0].formatted["locations"] == [{"line": 5, "column": 5}]
    with pytest.raises(Refused) as refused:
        prepare("{ viewer { id }\n", None, None, LIMITS)
    assert refused.value.errors[0].formatted["locations"] == [{"line": 2, "column": 1}]
