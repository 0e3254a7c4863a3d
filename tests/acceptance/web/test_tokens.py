"""The page where tokens are wanted."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.acceptance.program import Program
from tests.acceptance.web.browser import Visitor, assert_accessible, token
from tests.acceptance.web.test_page import ask_for, expect_model, make, picture, status
from tests.acceptance.web.wire import Wire


async def enter(page: Page, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Go on").click()


async def test_the_whole_job_with_a_token(guarded: Program, visitor: Visitor) -> None:
    page = await visitor.open(guarded.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Who is there?")
    await assert_accessible(page)
    await enter(page, "no token at all")
    await expect(page.get_by_role("alert")).to_have_text("The token was not accepted. It may have expired.")
    await enter(page, f"Bearer {token('ada')}")
    await ask_for(page, "A wren with a token")
    await expect(page.locator(".connection")).to_have_text("Live")
    await expect(picture(page, 2).locator("img")).to_have_js_property("naturalWidth", 128)
    await page.reload()
    await make(page, 2)
    await expect_model(page)
    await page.get_by_role("button", name="Forget the token").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Who is there?")
    await expect(page.get_by_text("A wren with a token")).to_have_count(0)
    await enter(page, token("bob"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such request")
    await expect(page.locator("aside")).to_contain_text("Nothing yet.")


async def test_sse_with_a_token(guarded: Program, visitor: Visitor) -> None:
    async with Wire(guarded.port, sockets="refused") as wire:
        page = await visitor.open(wire.url)
        await enter(page, token("carol"))
        await ask_for(page, "A stork with a token delay:0=2")
        await expect(page.locator(".connection")).to_have_text("Live, by event stream")
        await expect(status(page)).to_have_text("Pick a picture")


async def test_a_token_that_has_expired_is_asked_for_anew(guarded: Program, visitor: Visitor) -> None:
    page = await visitor.open(guarded.url)
    await enter(page, token("dora"))
    await ask_for(page, "A kite that outlives a token delay:0=30")
    await expect(picture(page, 2)).to_contain_text("Ready")
    # At one go: whatever else the page asks for meanwhile would have it ask for a token first.
    await page.get_by_role("button", name="Cancel").evaluate(
        "(button, token) => { sessionStorage.setItem('maquette.token', token); button.click(); }",
        token("dora", seconds=-60),
    )
    await expect(page.get_by_role("alert")).to_have_text("The token was not accepted. It may have expired.")
    await enter(page, token("dora"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("A kite that outlives a token delay:0=30")
    await page.get_by_role("button", name="Cancel").click()
    await expect(status(page)).to_have_text("Cancelled")
