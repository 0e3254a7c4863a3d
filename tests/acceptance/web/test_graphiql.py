"""GraphiQL at `/graphql`: queries, subscriptions and tokens, from here alone."""

from __future__ import annotations

import json
import re

from playwright.async_api import Locator, Page, expect

from tests.acceptance.conftest import Connect
from tests.acceptance.program import Program
from tests.acceptance.web.browser import Visitor, token

TABS = ["Create", "Follow", "Select", "Read", "Retry", "Cancel", "Delete", "List", "Events", "Queues"]


async def opened(visitor: Visitor, program: Program) -> Page:
    page = await visitor.open(f"{program.url}/graphql")
    await expect(page.get_by_role("tab").first).to_be_visible()
    return page


async def turn_to(page: Page, tab: str) -> None:
    await page.get_by_role("tab", name=tab, exact=True).click()


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
    assert [re.sub(r"\s.*", "", name) for name in await page.get_by_role("tab").all_inner_texts()] == TABS
    await run(page)
    await expect(answer(page)).to_contain_text("IMAGE_PENDING")
    await turn_to(page, "List")
    await run(page)
    await expect(answer(page)).to_contain_text("A sleeping fox on a flat stone")
    await turn_to(page, "Queues")
    await run(page)
    await expect(answer(page)).to_contain_text("concurrency")
    await page.reload()
    await expect(page.get_by_role("tab")).to_have_count(len(TABS))
    assert visitor.complaints == []


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
