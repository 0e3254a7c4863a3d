"""Group commit: who comes while a transaction is under way shares the next one; nobody waits or fails for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.group_commit import LIMIT, GroupCommit

GATHERING = 0.001


class Ledger:
    """Writes numbers: alone all but the refused, together none of the locked, and nothing if one is refused."""

    def __init__(self, locked: frozenset[int] = frozenset(), refused: frozenset[int] = frozenset()) -> None:
        self.locked, self.refused = locked, refused
        self.batches: list[list[int]] = []
        self.written: list[int] = []
        self.alone_written: list[int] = []
        self.busy = 0
        self.begun = asyncio.Event()

    async def together(self, items: Sequence[int]) -> dict[int, str]:
        self.busy += 1
        assert self.busy == 1, "two shared transactions at once"
        self.batches.append(list(items))
        self.begun.set()
        await asyncio.sleep(0)
        self.busy -= 1
        if self.refused.intersection(items):
            raise ValueError("refused")
        found = {position: str(item) for position, item in enumerate(items) if item not in self.locked}
        self.written += map(int, found.values())
        return found

    async def alone(self, item: int) -> str:
        await asyncio.sleep(0)
        if item in self.refused:
            raise ValueError(f"{item} refused")
        self.written.append(item)
        self.alone_written.append(item)
        return str(item)


@given(
    st.lists(st.integers(0, 99), unique=True, max_size=80),
    st.frozensets(st.integers(0, 99)),
    st.frozensets(st.integers(0, 99)),
)
def test_each_item_is_written_once_or_fails_by_itself(
    items: list[int], locked: frozenset[int], refused: frozenset[int]
) -> None:
    ledger = Ledger(locked, refused)

    async def write() -> list[str | BaseException]:
        group = GroupCommit(ledger.together, ledger.alone, gathering=GATHERING)
        return await asyncio.gather(*(group(item) for item in items), return_exceptions=True)

    results = asyncio.run(write())
    assert sorted(ledger.written) == sorted(set(items) - refused)
    for item, result in zip(items, results, strict=True):
        assert str(result) == (f"{item} refused" if item in refused else str(item))


async def test_what_comes_meanwhile_shares_the_next_transaction() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.together, ledger.alone, gathering=GATHERING)
    first = asyncio.create_task(group(0))
    await ledger.begun.wait()
    assert await asyncio.gather(first, *(group(item) for item in range(1, LIMIT + 3))) == [
        str(item) for item in range(LIMIT + 3)
    ]
    assert [len(batch) for batch in ledger.batches] == [1, LIMIT, 2]


async def test_one_who_leaves_does_not_hold_up_the_others() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.together, ledger.alone, gathering=GATHERING)
    leaving, staying = asyncio.create_task(group(1)), asyncio.create_task(group(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == "2"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_who_leaves_before_the_transaction_is_not_written() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.together, ledger.alone, gathering=GATHERING)
    first = asyncio.create_task(group(0))
    await ledger.begun.wait()
    leaving, staying = asyncio.create_task(group(1)), asyncio.create_task(group(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(first, staying) == ["0", "2"]
    assert ledger.written == [0, 2]
    leaving = asyncio.create_task(group(3))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await group(4) == "4"
    assert ledger.written == [0, 2, 4]


async def test_what_is_locked_goes_with_the_next_transaction() -> None:
    ledger = Ledger(locked=frozenset({1}))
    group = GroupCommit(ledger.together, ledger.alone, gathering=GATHERING, patience=60)
    locked, free = asyncio.create_task(group(1)), asyncio.create_task(group(2))
    assert await free == "2"
    ledger.locked = frozenset()
    assert await locked == "1"
    assert ledger.batches[0] == [1, 2]
    assert ledger.batches[-1] == [1]
    assert ledger.alone_written == []


async def test_patience_ends() -> None:
    ledger = Ledger(locked=frozenset({1}))
    assert await GroupCommit(ledger.together, ledger.alone, gathering=GATHERING, patience=0.02)(1) == "1"
    assert len(ledger.batches) > 1
    assert ledger.alone_written == [1]
