"""The schema has all of the contract, and words for everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    is_specified_scalar_type,
)

from resolvers import schema

ROOT = Path(__file__).parents[3]
OURS = build_schema(schema.as_str())
CONTRACT = build_schema((ROOT / "tests/contract/schema.graphql").read_text())


def types(graphql_schema: GraphQLSchema) -> list[GraphQLNamedType]:
    return [
        found
        for name, found in sorted(graphql_schema.type_map.items())
        if not name.startswith("__") and not is_specified_scalar_type(found)
    ]


@pytest.mark.parametrize("expected", types(CONTRACT), ids=lambda found: found.name)
def test_the_contract_is_kept(expected: GraphQLNamedType):
    ours: Any = OURS.type_map[expected.name]
    assert type(ours) is type(expected)
    match expected:
        case GraphQLEnumType():
            assert set(ours.values) == set(expected.values)
        case GraphQLInputObjectType():
            for name, field in expected.fields.items():
                assert str(ours.fields[name].type) == str(field.type), name
                assert ours.fields[name].default_value == field.default_value, name
            added = {name: field for name, field in ours.fields.items() if name not in expected.fields}
            assert not any(str(field.type).endswith("!") for field in added.values())
        case GraphQLObjectType() | GraphQLInterfaceType():
            assert {interface.name for interface in expected.interfaces} <= {found.name for found in ours.interfaces}
            for name, field in expected.fields.items():
                assert str(ours.fields[name].type) == str(field.type), name
                for argument, about in field.args.items():
                    found = ours.fields[name].args[argument]
                    assert (str(found.type), found.default_value) == (str(about.type), about.default_value), argument
                added = set(ours.fields[name].args) - set(field.args)
                assert not any(str(ours.fields[name].args[argument].type).endswith("!") for argument in added)
        case GraphQLScalarType():
            pass
        case _:
            raise AssertionError(f"{expected} is neither")


def test_the_operations_are_where_the_contract_has_them():
    for kind in ("query_type", "mutation_type", "subscription_type"):
        assert getattr(OURS, kind).name == getattr(CONTRACT, kind).name


def undescribed() -> Iterator[str]:
    for found in types(OURS):
        if not found.description:
            yield found.name
        if isinstance(found, GraphQLEnumType):
            yield from (f"{found.name}.{name}" for name, value in found.values.items() if not value.description)
        elif isinstance(found, GraphQLInputObjectType):
            yield from (f"{found.name}.{name}" for name, field in found.fields.items() if not field.description)
        elif isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in found.fields.items():
                if not field.description:
                    yield f"{found.name}.{name}"
                yield from (
                    f"{found.name}.{name}({argument})"
                    for argument, about in field.args.items()
                    if not about.description
                )


def test_everything_is_described():
    assert list(undescribed()) == []


def test_the_exported_schema_is_current():
    assert (ROOT / "schema/schema.graphql").read_text().strip() == schema.as_str().strip(), "run make schema"
