"""A program for the pages, and a browser to see them with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.program import Program, running
from tests.acceptance.web.browser import SECONDS, SECRET, Visitor, chromium, visiting
from tests.acceptance.web.wire import Wire

expect.set_options(timeout=SECONDS * 1000)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """How the program runs makes no difference to a page: this is the quickest way."""
    folder: Path = tmp_path_factory.mktemp("web")
    with running(folder, {"MAX_ACTIVE_REQUESTS": "0"}, served=False) as program:
        yield program


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that wants tokens."""
    environment = {"JWT_SECRET": SECRET, "MAX_ACTIVE_REQUESTS": "0"}
    with running(tmp_path_factory.mktemp("guarded"), environment, served=False) as program:
        yield program


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[Visitor]:
    async with visiting(browser) as visitor:
        yield visitor


@pytest.fixture
async def wire(embedded: Program) -> AsyncIterator[Wire]:
    async with Wire(embedded.port) as wire:
        yield wire
