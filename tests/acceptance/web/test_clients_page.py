"""The examples of docs/clients.md, run as they stand there: those for pages in Chromium, on another origin."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Page, Request, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from schema.errors import ErrorCode
from tests.acceptance import javascript
from tests.acceptance.conftest import Connect
from tests.acceptance.program import ROOT, Program, in_phase, running
from tests.acceptance.web.browser import SECONDS, SECRET, Visitor, token
from tests.acceptance.web.wire import Wire
from tests.servers import require
from tests.standins.server import running as serving
from tests.waiting import until

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
EXAMPLES = {name: re.findall(r"```\w+\n(.*?)```", text, re.DOTALL) for name, text in SECTIONS.items()}
REACT, URQL, SOCKET, STREAM, SSE = (
    "Apollo Client with React",
    "urql",
    "graphql-ws",
    "graphql-sse",
    "EventSource in a browser",
)
HOLDER = '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/script.js"></script>'
PRINTED = "window.printed = []; console.log = console.error = (...given) => printed.push(given)"


class Site:
    """Another origin, with a page that has nothing but a script."""

    def __init__(self) -> None:
        self.url = ""
        self.script = b""
        self.app = Starlette(
            routes=[
                Route("/", lambda _: HTMLResponse(HOLDER)),
                Route("/script.js", lambda _: Response(self.script, media_type="text/javascript")),
            ]
        )


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    site = Site()
    with serving(site.app) as site.url:
        yield site


@pytest.fixture(scope="session")
def elsewhere(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program that wants tokens, for pages of another origin."""
    environment = {"JWT_SECRET": SECRET, "ALLOWED_ORIGINS": site.url, "MAX_ACTIVE_REQUESTS": "0"}
    with running(tmp_path_factory.mktemp("elsewhere"), environment, served=False) as program:
        yield program


@pytest.fixture(scope="module")
def packages() -> None:
    javascript.prepare()


def example(name: str, port: int, user: str, number: int = 0) -> str:
    """A piece of code of the page, with an address and a token put in."""
    return EXAMPLES[name][number].replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("YOUR_TOKEN", token(user))


def slowly(code: str) -> str:
    """The fourth picture comes once the line has been cut and mended."""
    assert "A small owl" in code
    return code.replace("A small owl", "A small owl delay:3=3")


class Show(Protocol):
    async def __call__(self, code: str) -> Page: ...


@pytest.fixture
def show(site: Site, visitor: Visitor, packages: None) -> Show:
    """Opens a page with nothing but that script, as a bundler makes it."""

    async def opened(code: str) -> Page:
        bundler = await asyncio.create_subprocess_exec(
            require("node"),
            "node_modules/esbuild/bin/esbuild",
            *("--bundle", "--format=esm", "--target=es2022", "--loader=jsx", "--jsx=automatic", "--log-level=warning"),
            cwd=javascript.FOLDER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        site.script, _ = await bundler.communicate(code.encode())
        assert bundler.returncode == 0
        await visitor.context.add_init_script(PRINTED)
        return await visitor.open(site.url)

    return opened


async def printed(page: Page, count: int) -> list[Any]:
    """What the page has printed, once there is so much of it."""
    await page.wait_for_function("count => printed.length >= count", arg=count)
    found: list[Any] = await page.evaluate("printed.map(given => given.at(-1))")
    return found


def test_every_example_is_tried_here() -> None:
    assert {name: len(examples) for name, examples in EXAMPLES.items() if examples} == {
        REACT: 3,
        URQL: 1,
        SOCKET: 1,
        STREAM: 1,
        SSE: 1,
        "curl": 3,
        "Python": 1,
    }
    assert "docs/clients.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_has_every_code() -> None:
    codes = set(re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\| (`[A-Z_`, ]+) \|", PAGE, re.MULTILINE))))
    assert codes == {*ErrorCode, "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"}


@pytest.mark.parametrize("transport", ["websocket", "multipart"])
async def test_apollo_with_react(elsewhere: Program, show: Show, visitor: Visitor, transport: str) -> None:
    code = example(REACT, elsewhere.port, f"react by {transport}")
    if transport == "multipart":
        code = by_multipart(code)
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            asked.append(json.loads(request.post_data or "{}")["operationName"])

    visitor.context.on("request", note)
    page = await show(code)
    await page.get_by_role("button", name="Draw").click()
    await expect(page.get_by_role("alert")).to_contain_text("prompt")
    await page.get_by_label("What shall we make?").fill("An owl")
    await page.get_by_role("button", name="Draw").click()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.get_by_alt_text("Picture 3")).to_have_js_property("naturalWidth", 128)
    await expect(page.get_by_role("heading")).to_have_text("AWAITING_SELECTION")
    before = len(asked)
    # A new text, not sent yet, must not be sent by the click on a picture.
    await page.get_by_label("What shall we make?").fill("Another owl")
    await page.get_by_role("button", name="Picture 4").click()
    await expect(page.get_by_text("COMPLETED, 100 %")).to_be_visible()
    assert asked[before:] == ["Select"]
    links = page.get_by_role("link")
    assert await links.all_inner_texts() == ["GLB", "OBJ", "STL", "THREE_MF"]
    async with page.expect_download() as coming:
        await links.first.click()
    assert (await (await coming.value).path()).read_bytes()[:4] == b"glTF"
    # The rest has come by the subscription.
    assert asked.count("Request") == 1
    assert ("Events" in asked) == (transport == "multipart")
    assert visitor.complaints == []


def by_multipart(code: str) -> str:
    code = replaced(code, r"link: ApolloLink\.split\(.*\),", "link: http,")
    return replaced(code, r"useSubscription\(EVENTS, .*\);", "useEvents(id, !data);") + EXAMPLES[REACT][1]


def replaced(code: str, pattern: str, piece: str) -> str:
    changed, count = re.subn(pattern, lambda _: piece, code)
    assert count == 1
    return changed


async def test_apollo_by_multipart_goes_on_when_the_line_was_cut(
    elsewhere: Program, show: Show, connect: Connect
) -> None:
    async with Wire(elsewhere.port) as wire:
        page = await show(by_multipart(example(REACT, wire.port, "multipart cut")))
        await page.get_by_label("What shall we make?").fill("An owl delay:3=3")
        await page.get_by_role("button", name="Draw").click()
        await expect(page.get_by_alt_text("Picture 1")).to_be_visible()
        await wire.cut()
        await all_drawn(elsewhere, connect, "multipart cut")
        await expect(page.get_by_role("heading")).to_have_text("IMAGE_GENERATION")
        await wire.mend()
        await expect(page.get_by_role("heading")).to_have_text("AWAITING_SELECTION")


async def test_apollo_by_multipart_goes_on_when_the_server_was_stopped(
    restarted: Program, show: Show, connect: Connect
) -> None:
    page = await show(by_multipart(example(REACT, restarted.port, "multipart stopped")))
    asked: list[Request] = []
    under_way: set[Request] = set()

    def begun(request: Request) -> None:
        asked.append(request)
        under_way.add(request)

    page.on("request", begun)
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: under_way.discard(request))  # noqa: PLW0108  # Playwright takes no method of a set
    await page.get_by_label("What shall we make?").fill("An owl delay:3=3")
    await page.get_by_role("button", name="Draw").click()
    await expect(page.get_by_alt_text("Picture 3")).to_be_visible()
    await asyncio.to_thread(start_again, restarted)
    await expect(page.get_by_role("heading")).to_have_text("AWAITING_SELECTION")
    request_id = await all_drawn(restarted, connect, "multipart stopped")
    assert under_way
    asked.clear()
    await connect(restarted, token("multipart stopped")).delete(request_id)
    await until(lambda: not under_way)
    # It is told on the stream that there is no such request, or asks once more and is told so.
    await page.wait_for_timeout(2500)
    assert len(asked) <= 1
    assert not under_way


@pytest.fixture
def restarted(site: Site, tmp_path: Path) -> Iterator[Program]:
    with running(tmp_path, {"JWT_SECRET": SECRET, "ALLOWED_ORIGINS": site.url}, served=False) as program:
        yield program


def start_again(program: Program) -> None:
    program.stop()
    program.start_api()


async def test_apollo_has_a_list_with_pages(elsewhere: Program, show: Show, connect: Connect) -> None:
    client = connect(elsewhere, token("lister"))
    for number in range(5):
        await client.created(f"Number {number}")
    code = replaced(example(REACT, elsewhere.port, "lister"), r"cache: new InMemoryCache\(\)", "cache")
    code = replaced(code, "<App />", "<><App /><List /></>")
    page = await show(replaced(EXAMPLES[REACT][2], "first: 20", "first: 2") + code)
    entries = page.get_by_role("listitem")
    for count in (2, 4, 5):
        await expect(entries).to_have_count(count)
        if count < 5:
            await page.get_by_role("button", name="More").click()
    await expect(page.get_by_role("button", name="More")).to_have_count(0)
    await expect(entries).to_contain_text([f"Number {number}" for number in (4, 3, 2, 1, 0)])
    await entries.nth(3).get_by_role("button", name="Delete").click()
    await expect(entries).to_contain_text([f"Number {number}" for number in (4, 3, 2, 0)])


async def test_react_is_told_what_is_wrong(elsewhere: Program, show: Show) -> None:
    page = await show(example(REACT, elsewhere.port, "x").replace("Bearer ", "Bearer no"))
    await page.get_by_label("What shall we make?").fill("An owl")
    await page.get_by_role("button", name="Draw").click()
    await expect(page.get_by_role("alert")).to_have_text("UNAUTHENTICATED")


@pytest.mark.parametrize("name", [URQL, SOCKET, STREAM, SSE])
async def test_clients_resume_when_the_line_was_cut(
    elsewhere: Program, show: Show, connect: Connect, name: str
) -> None:
    async with Wire(elsewhere.port) as wire:
        page = await show(slowly(example(name, wire.port, name)))
        assert len(await printed(page, 7)) == 7
        await wire.cut()
        await all_drawn(elsewhere, connect, name)
        await wire.mend()
        events = await printed(page, 9)
    assert [event["sequence"] for event in events] == list(range(1, 10))
    assert events[-1]["phase"] == "AWAITING_SELECTION"


@pytest.mark.parametrize("name", [URQL, SOCKET, STREAM, SSE])
async def test_clients_resume_when_the_server_was_stopped(restarted: Program, show: Show, name: str) -> None:
    page = await show(slowly(example(name, restarted.port, name)))
    assert len(await printed(page, 7)) == 7
    await asyncio.to_thread(start_again, restarted)
    events = await printed(page, 9)
    assert [event["sequence"] for event in events] == list(range(1, 10))
    assert events[-1]["phase"] == "AWAITING_SELECTION"


async def all_drawn(program: Program, connect: Connect, user: str) -> str:
    """The user's one request, once its pictures are there."""
    client = connect(program, token(user))
    listed = await client.data("{ requests { edges { node { id } } } }")
    [edge] = listed["requests"]["edges"]
    await client.follow(edge["node"]["id"], in_phase("AWAITING_SELECTION"))
    return str(edge["node"]["id"])


@pytest.mark.parametrize("name", [URQL, SOCKET, STREAM, SSE])
async def test_clients_stop_when_the_request_is_deleted(
    elsewhere: Program, show: Show, connect: Connect, name: str
) -> None:
    user = f"{name} deleted"
    page = await show(example(name, elsewhere.port, user))
    await printed(page, 9)
    request_id = await all_drawn(elsewhere, connect, user)
    if name != SSE:
        await connect(elsewhere, token(user)).delete(request_id)
        assert (await printed(page, 10))[-1] == ("The request was deleted." if name == SOCKET else "NOT_FOUND")
        return
    missed = page.expect_response(lambda response: "/events?" in response.url and response.status == 404)
    async with missed, page.expect_response(lambda response: response.url.endswith("/graphql")) as asked:
        await connect(elsewhere, token(user)).delete(request_id)
    assert (await (await asked.value).json())["data"] == {"request": None}


@pytest.mark.parametrize("name", [URQL, SOCKET, STREAM, SSE])
async def test_clients_are_told_what_is_wrong(elsewhere: Program, show: Show, name: str) -> None:
    page = await show(example(name, elsewhere.port, "y").replace("A small owl", " "))
    [[error]] = await printed(page, 1)
    assert (error["code"], error["field"]) == ("INVALID_INPUT", ["input", "prompt"])


@asynccontextmanager
async def started(*command: str, cwd: Path) -> AsyncIterator[asyncio.StreamReader]:
    """What a command prints, which is ended with all that it has started."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            yield process.stdout
    finally:
        # It may have ended since, of itself.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_curl(elsewhere: Program, tmp_path: Path) -> None:
    require("curl")
    create, events, fetch = (example("curl", elsewhere.port, "curl", number) for number in range(3))
    # The stream has no end of its own.
    events = f"\nsed '/^data:.*AWAITING_SELECTION/q' < <({events})\n"
    async with started("bash", "-euc", create + events + fetch, cwd=tmp_path) as output:
        told = [line.decode().strip() for line in (await output.read()).splitlines()]
    assert json.loads(told[0])["data"]["createRequest"]["userErrors"] == []
    request = json.loads(told[1])["data"]["request"]
    assert [image["index"] for image in request["images"]] == [0, 1, 2, 3]
    assert [line for line in told if line.startswith("id:")] == [f"id: {number}" for number in range(5, 10)]
    endings = await asyncio.to_thread(lambda: {path.suffix for path in tmp_path.iterdir()})
    assert endings == {".glb", ".obj", ".stl", ".3mf"}


async def test_python_does_the_whole_job_over_a_line_that_is_cut(
    elsewhere: Program, connect: Connect, tmp_path: Path
) -> None:
    async with Wire(elsewhere.port) as wire:
        (tmp_path / "owl.py").write_text(slowly(example("Python", wire.port, "gql")))
        events = []
        async with started(sys.executable, "-u", "owl.py", cwd=tmp_path) as output:
            async for line in output:
                events.append(ast.literal_eval(line.decode()))
                if len(events) == 7:
                    await wire.cut()
                    await all_drawn(elsewhere, connect, "gql")
                    await wire.mend()
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["phase"] == "COMPLETED"
    assert (tmp_path / "owl.glb").read_bytes()[:4] == b"glTF"
    assert all((tmp_path / f"owl.{ending}").stat().st_size for ending in ("obj", "stl", "3mf"))


async def test_python_ends_when_the_request_is_cancelled(elsewhere: Program, connect: Connect, tmp_path: Path) -> None:
    code = example("Python", elsewhere.port, "cancelled").replace("A small owl", "A small owl delay:3=60")
    (tmp_path / "owl.py").write_text(code)
    client = connect(elsewhere, token("cancelled"))
    events = []
    async with started(sys.executable, "-u", "owl.py", cwd=tmp_path) as output:
        async for line in output:
            events.append(ast.literal_eval(line.decode()))
            if len(events) == 7:
                listed = await client.data("{ requests { edges { node { id } } } }")
                await client.cancel(listed["requests"]["edges"][0]["node"]["id"])
    assert events[-1]["phase"] == "CANCELLED"
    assert not (tmp_path / "owl.glb").exists()


async def test_python_is_told_what_is_wrong(elsewhere: Program, tmp_path: Path) -> None:
    for code, wrong in (
        ("INVALID_INPUT", example("Python", elsewhere.port, "z").replace("A small owl", " ")),
        ("UNAUTHENTICATED", example("Python", elsewhere.port, "z").replace("Bearer ", "Bearer no")),
    ):
        (tmp_path / "owl.py").write_text(wrong)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "owl.py", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        _, complaint = await process.communicate()
        assert f"Refused: ('{code}'" in complaint.decode()
