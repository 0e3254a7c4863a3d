"""What one operation may ask for. The work of finding out is linear in the size of the document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    InlineFragmentNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from schema.errors import ErrorCode, api_error
from settings import Settings

MUTATION_COST = 10
ASSUMED_SIZES = {"images": 4, "models": 4, "files": 4, "issues": 4, "queues": 2}
"""Of the lists that have no `first`."""
OTHER_SIZE = 10
COST_OF_TEXT = {"prompt": 10, "originalPrompt": 10}
"""Of some thousand characters, which count for ten short ones."""
LARGEST_PAGE = 500
"""More is refused by the fields themselves."""

LARGEST_TYPE = {
    "types": 100,
    "directives": 10,
    "fields": 20,
    "args": 6,
    "inputFields": 6,
    "enumValues": 30,
    "interfaces": 2,
    "possibleTypes": 10,
}
"""The lists of introspection at their longest; a test holds them against the schema."""
TYPICAL_TYPE = {"fields": 4, "args": 1, "inputFields": 1, "enumValues": 2, "interfaces": 1, "possibleTypes": 1}
"""The same as they are on average over all types."""
MEMBERS = {"fields", "args", "inputFields", "enumValues"}

PageSize = int | None
Variables = Mapping[str, PageSize]
"""The variables that page sizes are taken from."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one document and one operation may hold; docs/settings.md says what each is for."""

    depth: int
    aliases: int
    directives: int
    tokens: int
    cost: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            depth=settings.max_query_depth,
            aliases=settings.max_query_aliases,
            directives=settings.max_query_directives,
            tokens=settings.max_query_tokens,
            cost=settings.max_query_cost,
        )


def _too_complex(message: str) -> GraphQLError:
    return api_error(ErrorCode.QUERY_TOO_COMPLEX, message)


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Refuse a document by its looks alone, before any work is put into it; raises QUERY_TOO_COMPLEX."""
    shape = _Shape(document)
    for name, found, limit in (
        ("aliases and repeated fields", shape.aliases, limits.aliases),
        ("directives", shape.directives, limits.directives),
    ):
        if found > limit:
            raise _too_complex(f"The document has {found} {name}; {limit} are allowed.")
    depth = max(map(shape.depth_of, shape.operations), default=0)
    if depth > limits.depth:
        raise _too_complex(f"The operation is {depth} fields deep; {limits.depth} are allowed.")


class _Shape:
    """What can be counted without the schema."""

    def __init__(self, document: DocumentNode) -> None:
        self.aliases = 0
        self.directives = 0
        self.operations: list[SelectionSetNode] = []
        self._fragments: dict[str, SelectionSetNode] = {}
        self._depths: dict[str, int] = {}
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition.selection_set
            elif isinstance(definition, OperationDefinitionNode):
                self.operations.append(definition.selection_set)
                for variable in definition.variable_definitions or ():
                    self.directives += len(variable.directives or ())
            else:
                continue
            self.directives += len(definition.directives or ())
            self._count(definition.selection_set)

    def _count(self, within: SelectionSetNode) -> None:
        sets = [within]
        while sets:
            selections = sets.pop().selections
            keys: set[str] = set()
            for selection in selections:
                self.directives += len(selection.directives or ())
                if isinstance(selection, FieldNode):
                    key = (selection.alias or selection.name).value
                    # What is repeated costs the validation as much as what has another name.
                    self.aliases += selection.alias is not None or key in keys
                    keys.add(key)
                nested = None if isinstance(selection, FragmentSpreadNode) else _nested(selection)
                if nested is not None:
                    sets.append(nested)

    def depth_of(self, selections: SelectionSetNode) -> int:
        deepest = 0
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, self._depth_of_fragment(selection.name.value))
            else:
                nested = _nested(selection)
                below = self.depth_of(nested) if nested is not None else 0
                deepest = max(deepest, below + isinstance(selection, FieldNode))
        return deepest

    def _depth_of_fragment(self, name: str) -> int:
        if name not in self._depths:
            # Within a cycle, which is an error that the validation tells better, it counts for nothing.
            self._depths[name] = 0
            if name in self._fragments:
                self._depths[name] = self.depth_of(self._fragments[name])
        return self._depths[name]


def _nested(selection: Node) -> SelectionSetNode | None:
    assert isinstance(selection, FieldNode | InlineFragmentNode)
    return selection.selection_set


def page_variables(document: DocumentNode) -> tuple[str, ...]:
    """The variables that say how long a page is: with other values of them an operation costs something else."""
    return tuple(sorted({value.name.value for value in _page_sizes(document) if isinstance(value, VariableNode)}))


def _page_sizes(document: DocumentNode) -> Iterator[Node]:
    sets = [
        definition.selection_set
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while sets:
        for selection in sets.pop().selections:
            if isinstance(selection, FieldNode):
                yield from (given.value for given in selection.arguments or () if given.name.value in ("first", "last"))
            nested = None if isinstance(selection, FragmentSpreadNode) else _nested(selection)
            if nested is not None:
                sets.append(nested)


def check_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Variables,
    limits: Limits,
) -> None:
    """Refuse a valid operation whose answer may have too many fields; raises QUERY_TOO_COMPLEX."""
    cost = _Cost(schema, document, operation, variables).total()
    if cost > limits.cost:
        raise _too_complex(
            f"The operation costs {cost}, one for each field that it may give and more for a prompt; "
            f"{limits.cost} are allowed. Ask for shorter pages or fewer fields."
        )


class _Cost:
    """How many fields a valid operation may give, lists at their longest."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Variables,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._variables = variables
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, PageSize], int] = {}
        self._introspected: dict[tuple[str, bool], int] = {}

    def total(self) -> int:
        root = self._schema.get_root_type(self._operation.operation)
        assert root is not None
        fields = self._of(self._operation.selection_set, root, None)
        return fields * MUTATION_COST if self._operation.operation is OperationType.MUTATION else fields

    def _of(self, selections: SelectionSetNode, parent: GraphQLType, page: PageSize) -> int:
        common = 0
        by_type: dict[str, int] = {}
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                common += self._of_field(selection, parent, page)
                continue
            if isinstance(selection, FragmentSpreadNode):
                fragment: FragmentDefinitionNode | InlineFragmentNode = self._fragments[selection.name.value]
                cost = self._of_fragment(selection.name.value, page)
            else:
                assert isinstance(selection, InlineFragmentNode)
                fragment = selection
                cost = self._of(selection.selection_set, self._condition(selection) or parent, page)
            condition = self._condition(fragment)
            if isinstance(condition, GraphQLObjectType) and condition is not parent:
                by_type[condition.name] = by_type.get(condition.name, 0) + cost
            else:
                common += cost
        return common + max(by_type.values(), default=0)

    def _condition(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> GraphQLType | None:
        return self._schema.type_map[fragment.type_condition.name.value] if fragment.type_condition else None

    def _of_fragment(self, name: str, page: PageSize) -> int:
        key = (name, page)
        if key not in self._known:
            fragment = self._fragments[name]
            condition = self._condition(fragment)
            assert condition is not None
            self._known[key] = self._of(fragment.selection_set, condition, page)
        return self._known[key]

    def _of_field(self, node: FieldNode, parent: GraphQLType, page: PageSize) -> int:
        name = node.name.value
        if node.selection_set is None:
            return COST_OF_TEXT.get(name, 1)
        if name.startswith("__"):
            return 1 + self._of_introspection(node.selection_set, typical=False)
        field: GraphQLField = parent.fields[name]  # type: ignore[attr-defined]  # only types with fields have selections
        own = self._page(node, field)
        size = 1
        if is_list_type(get_nullable_type(field.type)):
            size = next((found for found in (own, page) if found is not None), ASSUMED_SIZES.get(name, OTHER_SIZE))
            own = None
        return 1 + size * self._of(node.selection_set, get_named_type(field.type), own)

    def _of_introspection(self, selections: SelectionSetNode, *, typical: bool) -> int:
        """The same of what tells of types: `typical` below the list of all of them."""
        cost = 0
        sizes = TYPICAL_TYPE if typical else LARGEST_TYPE
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                key = (selection.name.value, typical)
                if key not in self._introspected:
                    within = self._fragments[selection.name.value].selection_set
                    self._introspected[key] = self._of_introspection(within, typical=typical)
                cost += self._introspected[key]
                continue
            nested = _nested(selection)
            if isinstance(selection, FieldNode):
                name = selection.name.value
                cost += 1
                if nested is not None:
                    below = name == "types" or (typical and name in MEMBERS)
                    cost += sizes.get(name, 1) * self._of_introspection(nested, typical=below)
            elif nested is not None:
                cost += self._of_introspection(nested, typical=typical)
        return cost

    def _page(self, node: FieldNode, field: GraphQLField) -> PageSize:
        """How many a field gives at most, if it says so."""
        given = {argument.name.value: self._value(argument.value) for argument in node.arguments or ()}
        for name in ("last", "first"):
            if name in field.args:
                size = given.get(name)
                if size is None and name == "first":
                    size = field.args[name].default_value
                if isinstance(size, int):
                    return min(max(size, 0), LARGEST_PAGE)
        return None

    def _value(self, value: Node) -> PageSize:
        if isinstance(value, IntValueNode):
            return int(value.value[:9])
        return self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
