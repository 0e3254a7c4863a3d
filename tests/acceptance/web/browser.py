"""Real Chromium with everything but loopback out of reach, and what tests do with its pages."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import jwt
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebSocket,
    async_playwright,
)

from tests.servers import require

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WEBGL = ["--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
WIDE, NARROW = 1280, 390
SECONDS = 30
SERIOUS = {"serious", "critical"}
SECRET = "a secret of thirty-two bytes and more"
HERE = {"127.0.0.1", "localhost"}


@asynccontextmanager
async def chromium(*, webgl: bool = True) -> AsyncIterator[Browser]:
    arguments = [*ARGUMENTS, *(WEBGL if webgl else ["--disable-gpu", "--disable-3d-apis"])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=require("chromium"), args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Someone with browser tabs of one kind.

    `strangers` are the foreign addresses that they met, `complaints` the console's errors and warnings.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.strangers: list[str] = []
        self.complaints: list[str] = []
        self._network: list[str] = []
        for event in ("request", "response", "requestfailed", "requestfinished"):
            context.on(event, partial(self._note, event))

    @property
    def diagnostics(self) -> dict[str, list[str]]:
        return {"network": self._network, "complaints": self.complaints}

    async def open(self, url: str) -> Page:
        page = await self.context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._see)
        await page.goto(url)
        return page

    def _note(self, event: str, met: Request | Response) -> None:
        outcome = met.status if isinstance(met, Response) else met.failure
        self._network.append(f"{datetime.now(UTC):%H:%M:%S.%f} {event} {outcome or ''} {met.url}")

    def _hear(self, message: ConsoleMessage) -> None:
        # Chromium tells of its software renderer, which is the test's own choice.
        if message.type in {"error", "warning"} and "GL Driver Message" not in message.text:
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _see(self, met: Request | WebSocket) -> None:
        address = urlsplit(met.url)
        if address.scheme not in {"data", "blob"} and address.hostname not in HERE:
            self.strangers.append(met.url)


@asynccontextmanager
async def visiting(browser: Browser, width: int = WIDE, **more: Any) -> AsyncIterator[Visitor]:
    context = await browser.new_context(viewport={"width": width, "height": 844}, **more)
    visitor = Visitor(context)
    context.on("request", visitor._see)
    try:
        yield visitor
    finally:
        await context.close()
    assert visitor.strangers == []


async def assert_accessible(page: Page) -> None:
    """axe-core has no serious finding, and nothing sticks out of the window."""
    results = await Axe().run(page)
    findings = [
        f"{finding['id']}: {finding['help']}: {[node['target'] for node in finding['nodes']]}"
        for finding in results.response["violations"]
        if finding["impact"] in SERIOUS
    ]
    assert findings == []
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def token(user: str, seconds: float = 600) -> str:
    """A token for the program of the fixture `guarded`, good for so long."""
    return jwt.encode({"sub": user, "exp": time.time() + seconds}, SECRET, "HS256")


def request_id(page: Page) -> str:
    found = re.search(r"[?&]request=(req_\w+)", page.url)
    assert found, page.url
    return found[1]
