"""Servers that a whole test session shares; a test that breaks one starts its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.servers import MariaDB, Moto, Redis

LAST_LINES = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure goes the end of what the test's fixtures have to tell of it, by their property `diagnostics`."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, fixture in item.funcargs.items():
            for what, lines in getattr(fixture, "diagnostics", {}).items():
                report.sections.append((f"{name}: {what}", "\n".join(lines[-LAST_LINES:])))
    return report


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """One that a test may end."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with Moto() as server:
        yield server
