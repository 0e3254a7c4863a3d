"""Statements that are compiled once, and sent several at a time.

SQLAlchemy takes some 150 µs of CPU for an execution of what it has compiled already, three times what the driver
takes. What every create, image and event goes through is prepared here instead, and statements that do not need each
other's answers share a round trip.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sqlalchemy import Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.sqltypes import TupleType

Parameters = Mapping[str, Any]
Processor = Callable[[Any], Any] | None
Escape = Callable[[Any], str]

_NOTHING = object()
TRIP_LENGTH = 250_000
"""So many characters are sent at once, of four bytes at most: servers bound what they take."""


@dataclass(slots=True)
class Outcome:
    """What a statement gave: its rows, with their columns as attributes, or how many it found to change."""

    rows: Sequence[Any] = ()
    rowcount: int = 0


class Prepared:
    """A statement whose values are bind parameters, or always the same. Make it once: it keeps what it compiles to."""

    def __init__(self, clause: Select[Any] | Insert | Update) -> None:
        self.clause = clause
        self.takes_rows = isinstance(clause, Insert)
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def bind(self, *parameters: Parameters) -> Bound:
        """The statement with its parameters; of an insert, those of each row, all with the same columns."""
        return Bound(self, parameters)

    def compiled(self, dialect: Dialect, parameters: Parameters) -> _Compiled:
        """What goes to MySQL. The parameters' names are also the columns that an insert or an update sets."""
        names = tuple(parameters)
        found = self._compiled.get(names)
        if found is None:
            found = self._compiled[names] = _Compiled(self.clause, dialect, names)
        return found


@dataclass(frozen=True, slots=True)
class Bound:
    prepared: Prepared
    parameters: Sequence[Parameters]


class Send(Protocol):
    """Executes statements in order, and returns what each gave."""

    async def __call__(self, connection: AsyncConnection, /, *statements: Bound) -> list[Outcome]: ...


async def one_by_one(connection: AsyncConnection, *statements: Bound) -> list[Outcome]:
    """Execute statements by way of SQLAlchemy: SQLite knows no round trips that could be spared."""
    outcomes = []
    for bound in statements:
        parameters = bound.parameters if bound.prepared.takes_rows else bound.parameters[0]
        result = await connection.execute(bound.prepared.clause, parameters)
        outcomes.append(Outcome(result.all() if result.returns_rows else (), result.rowcount))
    return outcomes


async def in_one_trip(connection: AsyncConnection, *statements: Bound) -> list[Outcome]:
    """Send statements to MySQL together; none is executed after one that fails. Raises what SQLAlchemy raises."""
    driver = cast("Any", connection.sync_connection).connection.driver_connection
    try:
        outcomes = [Outcome() for _ in statements]
        for trip in _trips(connection.dialect, driver.escape, statements):
            async with driver.cursor(connection.dialect.loaded_dbapi.Cursor) as cursor:
                await cursor.execute(";".join(text for _, _, text in trip))
                for number, (position, compiled, _) in enumerate(trip):
                    if number:
                        await cursor.nextset()
                    if cursor.description:
                        outcomes[position].rows = [compiled.row(values) for values in await cursor.fetchall()]
                    outcomes[position].rowcount += cursor.rowcount
    except connection.dialect.loaded_dbapi.Error as error:
        lost = connection.dialect.is_disconnect(error, driver, None)
        if lost:
            await connection.invalidate(error)
        raise DBAPIError.instance(
            None,
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            connection_invalidated=lost,
            dialect=connection.dialect,
        ) from error
    except BaseException as error:
        # Cancelled amid an answer: the rest of it would be taken for the next one's.
        await connection.invalidate(error)
        raise
    return outcomes


Piece = tuple[int, "_Compiled", str]


def _trips(dialect: Dialect, escape: Escape, statements: Sequence[Bound]) -> Iterator[list[Piece]]:
    trip: list[Piece] = []
    length = 0
    for position, bound in enumerate(statements):
        compiled = bound.prepared.compiled(dialect, bound.parameters[0])
        for text in compiled.texts(bound, escape):
            if trip and length + len(text) > TRIP_LENGTH:
                yield trip
                trip, length = [], 0
            trip.append((position, compiled, text))
            length += len(text)
    yield trip


@dataclass(slots=True)
class _Value:
    """Where a value of a statement comes from: a parameter, an element of a list, or of a list of tuples.

    What it was last is kept as text: rows that are written together have much in common.
    """

    name: str
    path: tuple[int, ...]
    processor: Processor
    last: Any = _NOTHING
    text: str = ""

    def literal(self, parameters: Parameters, escape: Escape) -> str:
        value = parameters[self.name]
        for index in self.path:
            value = value[index]
        if value is not self.last:
            self.text = escape(value if self.processor is None else self.processor(value))
            self.last = value
        return self.text


@dataclass(frozen=True, slots=True)
class _Constant:
    text: str

    def literal(self, _parameters: Parameters, _escape: Escape) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Template:
    """A statement's text with a place for each value."""

    text: str
    values: Sequence[_Value | _Constant]

    def filled(self, parameters: Parameters, escape: Escape) -> str:
        return self.text % tuple([value.literal(parameters, escape) for value in self.values])


class _Compiled:
    def __init__(self, clause: Select[Any] | Insert | Update, dialect: Dialect, names: Sequence[str]) -> None:
        self._dialect = dialect
        self._compiled = cast("Any", clause.compile(dialect=dialect, column_keys=list(names)))
        self._lists = [name for name, bind in self._compiled.binds.items() if bind.expanding]
        self._templates: dict[tuple[int, ...], _Template] = {}
        columns = clause.selected_columns if isinstance(clause, Select) else ()
        self._make = cast("Any", namedtuple)("Row", [column.key for column in columns], rename=True)._make
        self._readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]

    def row(self, values: Sequence[Any]) -> Any:
        return self._make(
            [value if read is None else read(value) for read, value in zip(self._readers, values, strict=True)]
        )

    def texts(self, bound: Bound, escape: Escape) -> Iterator[str]:
        """The statement as the server reads it; an insert of too many rows is several."""
        first, *more = bound.parameters
        template = self._template(first, escape)
        text = template.filled(first, escape)
        # The columns' names have no such word in them.
        row = _Template(template.text.partition(" VALUES ")[2], template.values) if more else template
        for parameters in more:
            if len(text) > TRIP_LENGTH:
                yield text
                text = template.filled(parameters, escape)
            else:
                text += "," + row.filled(parameters, escape)
        yield text

    def _template(self, parameters: Parameters, escape: Escape) -> _Template:
        shape = tuple([len(parameters[name]) for name in self._lists])
        found = self._templates.get(shape)
        if found is None:
            found = self._templates[shape] = self._expanded(parameters, escape)
        return found

    def _expanded(self, parameters: Parameters, escape: Escape) -> _Template:
        state = self._compiled.construct_expanded_state(parameters)
        places: dict[str, tuple[str, tuple[int, ...]]] = {
            place: (name, (number,))
            for name, of_list in state.parameter_expansion.items()
            for number, place in enumerate(of_list)
        }
        values: list[_Value | _Constant] = []
        for place in state.positiontup:
            name, path = places.get(place, (place, ()))
            kind = self._compiled.binds[name].type
            if isinstance(kind, TupleType):
                path = divmod(path[0], len(kind.types))
                kind = kind.types[path[1]]
            processor = kind.dialect_impl(self._dialect).bind_processor(self._dialect)
            if name in parameters:
                values.append(_Value(name, path, processor))
            else:
                constant = state.parameters[place]
                values.append(_Constant(escape(constant if processor is None else processor(constant))))
        return _Template(state.statement, values)
