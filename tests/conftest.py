"""Servers that a whole test session shares; a test that breaks one starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import MariaDB, Moto, Redis


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as server:
        yield server
