"""The whole system, which the random tests share, and their seed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import bucket, connect, openai, start, tencent
from tests.faults.system import System

__all__ = ["bucket", "connect", "openai", "start", "tencent"]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with System() as system:
        yield system


@pytest.fixture
def seed() -> int:
    """What the faults and the users do is drawn by it: SEED in the environment, or 1."""
    return int(os.environ.get("SEED") or "1")


@pytest.fixture
def minutes() -> float:
    return float(os.environ.get("MINUTES") or "3")
