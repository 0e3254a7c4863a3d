"""What the page looks like in each state: at two widths, light and dark, without a serious finding of axe-core.

With SCREENSHOTS set to a folder, a picture of each is left there to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.acceptance.program import Program
from tests.acceptance.web.browser import NARROW, WIDE, assert_accessible, visiting
from tests.acceptance.web.test_graphiql import answer, opened, run
from tests.acceptance.web.test_page import ask_for, expect_model, make, status

SCREENSHOTS = os.environ.get("SCREENSHOTS")


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
async def test_every_state_can_be_used_by_everyone(
    embedded: Program, browser: Browser, width: int, scheme: str
) -> None:
    async def look(page: Page, state: str) -> None:
        if SCREENSHOTS:
            await page.screenshot(path=Path(SCREENSHOTS) / f"{state}-{width}-{scheme}.png", full_page=True)
        await assert_accessible(page)

    more = {"color_scheme": scheme, "reduced_motion": "reduce", "has_touch": width == NARROW}
    async with visiting(browser, width, **more) as visitor:
        page = await visitor.open(embedded.url)
        await expect(page.locator(".connection")).to_have_text("Live")
        await look(page, "empty")
        await page.get_by_label("Your words").fill(" ")
        await ask_for(page, "A lantern with windows like leaves fail:2 delay:3=3 model-delay=3 model-silent")
        await expect(page.locator(".notes")).to_contain_text("The picture was refused.")
        await look(page, "drawing")
        await expect(status(page)).to_have_text("Pick a picture")
        await make(page, 1)
        await expect(page.locator(".progress")).to_contain_text(re.compile("estimated"))
        await look(page, "making")
        await expect_model(page)
        await look(page, "made")
        await page.get_by_role("button", name="Delete").click()
        await look(page, "deleting")
        await page.goto(f"{embedded.url}/?request=req_none")
        await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such request")
        await look(page, "gone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
async def test_graphiql_can_be_used_by_everyone(embedded: Program, browser: Browser, width: int, scheme: str) -> None:
    async with visiting(browser, width, color_scheme=scheme, has_touch=width == NARROW) as visitor:
        page = await opened(visitor, embedded)
        await run(page)
        await expect(answer(page)).to_contain_text("IMAGE_PENDING")
        box = await page.get_by_role("region", name="Result Window").bounding_box()
        assert box is not None
        assert box["width"] > NARROW / 2
        if SCREENSHOTS:
            await page.screenshot(path=Path(SCREENSHOTS) / f"graphiql-{width}-{scheme}.png")
        await assert_accessible(page)
