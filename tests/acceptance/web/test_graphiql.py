"""GraphiQL at `/graphql`: queries, subscriptions and tokens, from here alone."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.acceptance.conftest import Connect
from tests.acceptance.program import ROOT, Program
from tests.acceptance.web.browser import Visitor, token

TABS = ["Create", "Follow", "Select", "Read", "Retry", "Cancel", "Delete", "List", "Events", "Queues"]


async def opened(visitor: Visitor, program: Program) -> Page:
    page = await visitor.open(f"{program.url}/graphql")
    await expect(page.locator("#graphiql")).to_have_js_property("inert", False)
    return page


async def turn_to(page: Page, tab: str) -> None:
    await page.locator(".graphiql-tab-button", has_text=re.compile(rf"^{tab}$")).click()


async def write(page: Page, editor: str, text: str) -> None:
    """Replace what an editor of the lower pane holds: `Variables` or `Headers`."""
    await page.get_by_role("button", name=editor, exact=True).click()
    await page.locator(f".monaco-editor[data-uri$='{editor.lower()}.json']").click()
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Delete")
    await page.keyboard.insert_text(text)


async def run(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("Execute query")).click()


def answer(page: Page) -> Locator:
    return page.locator(".result-window .view-lines")


async def test_the_job_is_ready_in_the_tabs(embedded: Program, visitor: Visitor) -> None:
    page = await opened(visitor, embedded)
    assert [re.sub(r"\s.*", "", name) for name in await page.locator(".graphiql-tab").all_inner_texts()] == TABS
    await run(page)
    await expect(answer(page)).to_contain_text("IMAGE_PENDING")
    await turn_to(page, "List")
    await run(page)
    await expect(answer(page)).to_contain_text("A small owl with big eyes, standing on a book")
    await turn_to(page, "Queues")
    await run(page)
    await expect(answer(page)).to_contain_text("concurrency")
    assert visitor.complaints == []


async def test_what_is_run_at_once_is_what_the_tab_holds(embedded: Program, visitor: Visitor, connect: Connect) -> None:
    page = await opened(visitor, embedded)
    for tab, answered in ("Queues", "concurrency"), ("Events", '"events"'):
        await page.evaluate(
            """tab => {
                const buttons = [...document.querySelectorAll(".graphiql-tab-button")];
                buttons.find(button => button.textContent === tab).click();
                document.querySelector(".graphiql-execute-button").click();
            }""",
            tab,
        )
        if tab == "Events":
            await connect(embedded).created("A hare, for whoever follows all delay:3=2")
        await expect(answer(page)).to_contain_text(answered)
    assert visitor.complaints == []


def test_each_tab_that_wants_an_id_says_where_it_comes_from() -> None:
    wants = set()
    for path in (ROOT / "web" / "src" / "graphiql" / "examples").iterdir():
        text = path.read_text(encoding="utf-8")
        comments = " ".join(line.strip("# ") for line in text.splitlines() if line.startswith("#"))
        for wanted in re.findall(r"requestId: ID!|input: (?:Select|Retry|Cancel|Delete)", text):
            wants.add(path.stem)
            name = "imageId" if "Retry" in wanted else "requestId"
            assert re.search(rf"`{name}`: the .*in (?:the answer of )?tab (Create|Read)", comments), path.stem
    assert wants == {"follow", "select", "read", "retry", "cancel", "delete"}


async def test_a_reload_at_any_moment_keeps_the_tabs(embedded: Program, visitor: Visitor) -> None:
    page = await opened(visitor, embedded)
    for tab, held in ("Select", "sizeMm"), ("Queues", "concurrency"), ("Follow", "afterSequence"):
        await turn_to(page, tab)
        await expect(page.locator(".graphiql-editors")).to_contain_text(held)
        await page.reload()
        await expect(page.locator("#graphiql")).to_have_js_property("inert", False)
        await expect(page.locator(".graphiql-tab")).to_have_count(len(TABS))
        selected = page.locator(".graphiql-tab[aria-current=true]")
        kept = re.sub(r"\s.*", "", await selected.inner_text())
        await expect(page.locator(".graphiql-editors")).to_contain_text(
            re.compile(rf"(query|mutation|subscription)\W+{kept}")
        )
    assert visitor.complaints == []


@pytest.mark.parametrize("kept", ["{", "[]"])
async def test_it_opens_where_what_is_kept_of_the_tabs_is_broken(
    embedded: Program, visitor: Visitor, kept: str
) -> None:
    page = await opened(visitor, embedded)
    await page.add_init_script(f"localStorage.setItem('graphiql:tabState', {kept!r})")
    await page.reload()
    await expect(page.locator("#graphiql")).to_have_js_property("inert", False)
    await run(page)
    await expect(answer(page)).to_contain_text("IMAGE_PENDING")


async def test_a_subscription_follows_a_request(embedded: Program, visitor: Visitor, connect: Connect) -> None:
    request = await connect(embedded).created("A ram followed in GraphiQL delay:3=2")
    page = await opened(visitor, embedded)
    await turn_to(page, "Follow")
    await write(page, "Variables", json.dumps({"requestId": request, "afterSequence": 0}))
    await run(page)
    await expect(answer(page)).to_contain_text("AWAITING_SELECTION")
    assert visitor.complaints == []


async def test_a_token_goes_with_queries_and_subscriptions(
    guarded: Program, visitor: Visitor, connect: Connect
) -> None:
    request = await connect(guarded, token("ada")).created("A yak with a token delay:3=2")
    page = await opened(visitor, guarded)
    await turn_to(page, "List")
    await run(page)
    await expect(answer(page)).to_contain_text("UNAUTHENTICATED")
    headers = json.dumps({"Authorization": f"Bearer {token('ada')}"})
    await write(page, "Headers", headers)
    await run(page)
    await expect(answer(page)).to_contain_text("A yak with a token")
    await turn_to(page, "Follow")
    await write(page, "Variables", json.dumps({"requestId": request}))
    await write(page, "Headers", headers)
    await run(page)
    await expect(answer(page)).to_contain_text("AWAITING_SELECTION")


async def test_nothing_can_be_clicked_before_the_editors_are_loaded(embedded: Program, visitor: Visitor) -> None:
    """GraphiQL would drop the click."""
    loaded = asyncio.Event()

    async def hold(route: Route) -> None:
        await loaded.wait()
        await route.continue_()

    await visitor.context.route("**/assets/monaco-editor-*.js", hold)
    page = await visitor.open(f"{embedded.url}/graphql")
    await expect(page.locator(".graphiql-tab-button")).to_have_count(len(TABS))
    await expect(page.locator("#graphiql")).to_have_js_property("inert", True)
    loaded.set()
    await turn_to(page, "List")
    await run(page)
    await expect(answer(page)).to_contain_text("totalCount")
    assert visitor.complaints == []
