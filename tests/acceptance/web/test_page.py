"""The live page at `/`: the whole job, and whatever may come between."""

from __future__ import annotations

import asyncio
import re
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from events.outcome import FailureCode
from tests.acceptance.conftest import Connect
from tests.acceptance.program import ROOT, Client, Program, in_phase, running
from tests.acceptance.web.browser import NARROW, Visitor, chromium, request_id, visiting
from tests.acceptance.web.wire import Wire

PAGE = 12
LISTEN = """() => {
  window.said = [];
  const region = document.querySelector("[aria-live]");
  const changes = { characterData: true, childList: true, subtree: true };
  new MutationObserver(() => said.push(region.textContent)).observe(region, changes);
}"""


async def ask_for(page: Page, prompt: str) -> None:
    await page.get_by_label("Your words").fill(prompt)
    await page.get_by_role("button", name="Draw four pictures").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(prompt)


def picture(page: Page, number: int) -> Locator:
    return page.locator(".picture").nth(number - 1)


def status(page: Page) -> Locator:
    return page.locator(".meta .status")


async def pick(page: Page, number: int) -> None:
    radio = page.get_by_role("radio", name=re.compile(f"Picture {number}"))
    await expect(radio).to_be_enabled()
    await radio.check(force=True)


async def make(page: Page, number: int, size: str = "80") -> None:
    await pick(page, number)
    await page.get_by_label("Longest side").fill(size)
    await page.get_by_role("button", name=f"Make picture {number} in 3D").click()


async def expect_model(page: Page) -> None:
    await expect(page.locator(".viewer")).to_have_attribute("data-state", "shown")
    await expect(status(page)).to_have_text("Ready to print")


async def test_the_whole_job(embedded: Program, visitor: Visitor, tmp_path: Path) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "An owl delay:1=1 delay:3=4 model-delay=3 model-silent")
    await expect(picture(page, 1)).to_contain_text("Ready")
    await expect(picture(page, 4)).to_contain_text("Being drawn")
    await expect(picture(page, 1).locator("img")).to_have_js_property("naturalWidth", 128)

    await make(page, 1)  # the fourth is still being drawn
    await expect(page.locator(".progress")).to_contain_text(re.compile(r"\d+ % \(estimated\)"))
    await expect(page.locator(".stages [aria-current=step]")).to_have_text("Shaping")
    await expect(picture(page, 4)).to_contain_text("Ready")
    await expect_model(page)
    await expect(page.locator(".facts")).to_contain_text("A slicer takes it as it is.")
    await expect(page.locator(".facts")).to_contain_text(re.compile(r"80 \S [\d.]+ \S [\d.]+ mm"))
    await expect(page.locator("aside li").first).to_contain_text("Ready to print")

    endings = []
    for link in await page.locator(".files a").all():
        async with page.expect_download() as coming:
            await link.click()
        download = await coming.value
        path = tmp_path / download.suggested_filename
        await download.save_as(path)
        endings.append(path.suffix)
        check_file(path)
    assert endings == [".stl", ".3mf", ".obj", ".glb"]
    assert visitor.complaints == []


def check_file(path: Path) -> None:
    content = path.read_bytes()
    match path.suffix:
        case ".stl":
            assert len(content) == 84 + 50 * int.from_bytes(content[80:84], "little")
        case ".3mf":
            assert "3D/3dmodel.model" in zipfile.ZipFile(path).namelist()
        case ".obj":
            assert b"\nv " in content
        case ".glb":
            assert content[:4] == b"glTF"


async def test_a_reload_at_any_moment_loses_nothing(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await page.get_by_label("Your words").fill("A bear delay=3 model-delay=2 model-silent")
    await page.reload()
    await expect(page.get_by_label("Your words")).to_have_value("A bear delay=3 model-delay=2 model-silent")
    await page.get_by_role("button", name="Draw four pictures").click()
    await expect(picture(page, 1)).to_contain_text("Being drawn")
    await page.reload()
    await expect(page.get_by_role("group", name="The pictures are on their way")).to_be_visible()
    await expect(picture(page, 3)).to_contain_text("Ready")
    await expect(page.get_by_role("group", name="Pick a picture")).to_be_visible()
    await make(page, 3)
    await expect(page.locator(".progress em")).to_be_visible()
    await page.reload()
    await expect(page.locator(".progress em")).to_have_text("(estimated)")
    await expect_model(page)
    await page.reload()
    await expect_model(page)
    await expect(page.get_by_role("radio", name=re.compile("Picture 3"))).to_be_checked()
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("What shall we make?")
    assert visitor.complaints == []


async def test_what_happened_while_the_network_was_away_is_caught_up(
    embedded: Program, visitor: Visitor, wire: Wire, connect: Connect
) -> None:
    page = await visitor.open(wire.url)
    await ask_for(page, "A cat delay=5")
    await expect(page.locator(".picture[data-status=GENERATING]")).to_have_count(4)
    await wire.cut()
    await expect(page.locator(".connection")).to_have_text("Connecting …")
    await connect(embedded).follow(request_id(page), in_phase("AWAITING_SELECTION"))
    await expect(page.locator(".picture[data-status=GENERATING]")).to_have_count(4)
    await wire.mend()
    await expect(page.locator(".picture[data-status=COMPLETED]")).to_have_count(4)
    await expect(status(page)).to_have_text("Pick a picture")
    await expect(page.locator(".connection")).to_have_text(re.compile("Live"))


async def test_a_device_that_is_offline_says_so_and_comes_back(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A crab delay:1=2")
    await expect(page.locator(".connection")).to_have_text("Live")
    await visitor.context.set_offline(True)
    await expect(page.locator(".connection")).to_contain_text("No network")
    await visitor.context.set_offline(False)
    await expect(page.locator(".connection")).to_have_text("Live")
    await expect(picture(page, 2)).to_contain_text("Ready")


async def test_a_message_goes_when_what_it_says_is_over(
    embedded: Program, visitor: Visitor, wire: Wire, connect: Connect
) -> None:
    page = await visitor.open(wire.url)
    alert = page.get_by_role("alert")
    await ask_for(page, "A pike delay:3=60")
    await expect(picture(page, 1)).to_contain_text("Ready")
    await wire.cut()
    await expect(page.locator(".connection")).to_have_text("Connecting …")
    await page.get_by_role("button", name="Cancel").click()
    await expect(alert).to_have_text("The server cannot be reached now. Press Cancel again when the page is live.")
    await pick(page, 1)
    await page.get_by_role("button", name="Make picture 1 in 3D").click()
    await expect(alert).to_have_text("The server cannot be reached now. Press again when the page is live.")
    await wire.mend()
    await expect(page.locator(".connection")).to_have_text(re.compile("Live"))
    await expect(alert).to_have_count(0)
    await page.locator(".pictures").evaluate("form => { form.noValidate = true }")
    await make(page, 1, "9000")
    await expect(alert).to_contain_text("The size must be")
    await connect(embedded).cancel(request_id(page))
    await expect(status(page)).to_have_text("Cancelled")
    await expect(alert).to_have_count(0)


async def test_a_prompt_sent_into_a_dead_network_is_kept_and_made_once(
    embedded: Program, visitor: Visitor, wire: Wire, connect: Connect
) -> None:
    page = await visitor.open(wire.url)
    await page.get_by_label("Your words").fill("A dog, once")
    await wire.cut()
    await page.get_by_role("button", name="Draw four pictures").click()
    await expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached now. Your words are kept")
    await wire.mend()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.get_by_role("button", name="Draw four pictures").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("A dog, once")
    listed = await connect(embedded).data("{ requests(first: 100) { edges { node { originalPrompt } } } }")
    prompts = [edge["node"]["originalPrompt"] for edge in listed["requests"]["edges"]]
    assert prompts.count("A dog, once") == 1


@pytest.mark.parametrize("sockets", ["refused", "swallowed"])
async def test_where_websockets_are_blocked_sse_brings_the_events(
    embedded: Program, visitor: Visitor, wire: Wire, sockets: Literal["refused", "swallowed"]
) -> None:
    wire.sockets = sockets
    page = await visitor.open(wire.url)
    await ask_for(page, "A fish delay:2=2 model-delay=3 model-silent")
    await expect(page.locator(".connection")).to_have_text("Live, by event stream")
    await expect(picture(page, 1)).to_contain_text("Ready")
    await expect(picture(page, 3)).to_contain_text("Ready")
    await make(page, 2)
    await expect(page.locator(".progress")).to_contain_text(re.compile(r"\d+ % \(estimated\)"))
    await expect_model(page)
    assert wire.blocked > 0


async def test_when_websockets_come_back_they_are_used_again(embedded: Program, visitor: Visitor, wire: Wire) -> None:
    wire.sockets = "refused"
    page = await visitor.open(wire.url)
    await ask_for(page, "A newt")
    await expect(page.locator(".connection")).to_have_text("Live, by event stream")
    wire.sockets = "passed"
    await expect(page.locator(".connection")).to_have_text("Live")


async def test_two_tabs_show_the_same(embedded: Program, visitor: Visitor) -> None:
    first, second = await visitor.open(embedded.url), await visitor.open(embedded.url)
    await expect(second.locator(".connection")).to_have_text("Live")
    await ask_for(first, "A goat in two tabs")
    entry = second.locator("aside li").filter(has_text="A goat in two tabs")
    await expect(entry).to_contain_text("Pick a picture")
    await entry.get_by_role("link").click()
    await make(second, 2)
    await expect_model(first)
    await expect_model(second)
    await second.get_by_role("button", name="Delete").click()
    await second.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(second.get_by_role("heading", level=1)).to_have_text("What shall we make?")
    await expect(entry).to_have_count(0)
    await expect(first.get_by_role("heading", level=1)).to_have_text("There is no such request")
    await expect(first.locator("aside li").filter(has_text="A goat in two tabs")).to_have_count(0)


async def test_two_tabs_that_pick_at_once_both_show_what_is_made(embedded: Program, visitor: Visitor) -> None:
    both = asyncio.Barrier(2)

    def selects(request: Request) -> bool:
        return operation_of(request) == "Select"

    async def hold(route: Route) -> None:
        if selects(route.request):
            await both.wait()
        await route.continue_()

    async def is_refused(page: Page, number: int) -> bool:
        async with page.expect_response(lambda response: selects(response.request)) as coming:
            await make(page, number)
        answer = await (await coming.value).json()
        return answer["data"]["selectImage"]["request"] is None

    first = await visitor.open(embedded.url)
    await ask_for(first, "A gnu in two tabs model-delay=4")
    await expect(status(first)).to_have_text("Pick a picture")
    second = await visitor.open(first.url)
    await expect(status(second)).to_have_text("Pick a picture")
    await visitor.context.route("**/graphql", hold)
    refusals = await asyncio.gather(is_refused(first, 1), is_refused(second, 2))
    assert sorted(refusals) == [False, True]
    refused = first if refusals[0] else second
    await visitor.context.unroute_all()
    for page in (first, second):
        await expect(page.locator(".progress")).to_be_visible()
    made = {await chosen(page) for page in (first, second)}
    assert len(made) == 1
    await expect(refused.get_by_role("alert")).to_contain_text("A model is being made")
    for page in (first, second):
        await expect(status(page)).to_have_text("Ready to print")
        assert await chosen(page) in made
    await expect(refused.get_by_role("alert")).to_have_count(0)


async def chosen(page: Page) -> str:
    """The number of the picture that is framed."""
    return await page.locator(".picture[data-picked=true] .caption").inner_text()


async def test_an_answer_that_comes_after_its_events_changes_nothing(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A late hen flaky:1=3")
    again = page.get_by_role("button", name="Try picture 2 again")
    await expect(again).to_be_visible()

    async def late(route: Route) -> None:
        response = await route.fetch()
        if operation_of(route.request) == "Retry":
            await expect(picture(page, 2)).to_contain_text("Ready")
        await route.fulfill(response=response)

    await page.route("**/graphql", late)
    async with page.expect_response(lambda response: "Retry" in (response.request.post_data or "")) as answered:
        await again.click()
    await (await answered.value).finished()
    await expect(page.get_by_role("radio", name=re.compile("Picture 2"))).to_be_enabled()
    await page.wait_for_timeout(200)
    await expect(picture(page, 2)).to_contain_text("Ready")


@pytest.mark.parametrize(
    ("operation", "prompt", "phase", "shown"),
    [
        ("Request", "A duck delay=1", "AWAITING_SELECTION", "Pick a picture"),
        ("Select", "A goose model-delay=1", "COMPLETED", "Ready to print"),
    ],
)
async def test_what_a_late_answer_puts_back_is_asked_for_again(
    embedded: Program, visitor: Visitor, connect: Connect, operation: str, prompt: str, phase: str, shown: str
) -> None:
    page = await visitor.open(embedded.url)
    client = connect(embedded)
    held: list[str] = []

    async def hold(route: Route) -> None:
        response = await route.fetch()
        if operation_of(route.request) == operation and not held:
            held.append(await response.text())
            await client.follow(request_id(page), in_phase(phase))
            await expect(page.locator("aside li").first).to_contain_text(shown)
        await route.fulfill(response=response)

    await page.route("**/graphql", hold)
    await ask_for(page, prompt)
    if operation == "Select":
        await make(page, 1)
    await expect(status(page)).to_have_text(shown, timeout=10_000)
    await expect(picture(page, 4)).to_contain_text("Ready")
    assert '_GENERATION"' in held[0]


async def test_an_answer_that_never_comes_is_given_up(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await page.clock.install()
    await page.reload()
    unanswered: list[Route] = []

    async def swallow(route: Route) -> None:
        if operation_of(route.request) == "Request" and not unanswered:
            unanswered.append(route)
        else:
            await route.continue_()

    await page.route("**/graphql", swallow)
    await ask_for(page, "A heron delay=1")
    await expect(page.locator("aside li").first).to_contain_text("Pick a picture")
    await expect(picture(page, 4)).not_to_contain_text("Ready")
    await page.clock.fast_forward(41_000)
    await expect(picture(page, 4)).to_contain_text("Ready")
    await expect(status(page)).to_have_text("Pick a picture")


async def test_a_failed_picture_says_why_and_can_be_tried_again(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A hen flaky:1=3")  # as many times as there are attempts
    await expect(page.locator(".notes li")).to_contain_text(
        "Picture 2The painter is out. The service cannot be reached now: try again in a while."
    )
    await expect(page.get_by_role("radio", name=re.compile("Picture 2"))).to_be_disabled()
    await page.get_by_role("button", name="Try picture 2 again").click()
    await expect(picture(page, 2)).to_contain_text("Ready")
    await expect(page.locator(".notes li")).to_have_count(0)
    await expect(page.get_by_role("radio", name=re.compile("Picture 2"))).to_be_enabled()
    await expect(status(page)).to_have_text("Pick a picture")


async def test_refused_words_can_be_changed(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A cock fail:2")
    await expect(page.locator(".notes li")).to_contain_text("The picture was refused.")
    await expect(page.locator(".notes li")).to_contain_text("change the words")
    await page.get_by_role("button", name="New request with these words").click()
    await expect(page.get_by_label("Your words")).to_have_value("A cock fail:2")
    await expect(page.get_by_label("Your words")).to_be_focused()
    await ask_for(page, "A cock")
    await expect(page.locator(".picture[data-status=COMPLETED]")).to_have_count(4)
    await expect(page.get_by_role("button", name="New request with these words")).to_have_count(0)


def test_the_page_has_words_for_every_failure() -> None:
    words = (ROOT / "web" / "src" / "page" / "words.ts").read_text(encoding="utf-8")
    [remedies] = re.findall(r"REMEDIES.*?\n};", words, re.DOTALL)
    assert set(re.findall(r"^  ([A-Z_]+):", remedies, re.MULTILINE)) == set(FailureCode)


async def test_why_a_picture_is_waited_for_is_told(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A hare busy:0=9")
    await expect(picture(page, 2)).to_contain_text("Ready")
    # Of an attempt that will be repeated there is no event: the page asks now and then, and when it is loaded.
    await page.reload()
    await expect(page.locator(".notes li")).to_contain_text(
        "Picture 1The painter has too much to do. It is tried again."
    )
    await page.get_by_role("button", name="Cancel").click()
    await expect(picture(page, 1)).to_contain_text("Cancelled")


async def test_a_failed_model_gives_the_choice_back(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A horse model-fail")
    await expect(status(page)).to_have_text("Pick a picture")
    await make(page, 1)
    await expect(page.locator(".model")).to_contain_text("The sculptor will not.")
    await expect(status(page)).to_have_text("The model failed")
    await make(page, 2)
    await expect(page.get_by_role("group", name="Models made").get_by_role("radio")).to_have_count(2)


async def test_cancelling_stops_what_is_under_way(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A mole delay:3=60")
    await expect(picture(page, 1)).to_contain_text("Ready")
    await page.get_by_role("button", name="Cancel").click()
    await expect(status(page)).to_have_text("Cancelled")
    await expect(picture(page, 4)).to_contain_text("Cancelled")
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_a_size_that_cannot_be_printed_is_refused_in_words(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A duck of no size")
    await expect(picture(page, 1)).to_contain_text("Ready")
    # The browser's own check is taken away, to see the server's.
    await page.locator(".pictures").evaluate("form => { form.noValidate = true }")
    await make(page, 1, "9000")
    await expect(page.get_by_role("alert")).to_contain_text("The size must be")
    await expect(page.locator(".model")).to_have_count(0)


async def test_the_list_has_pages(embedded: Program, visitor: Visitor, connect: Connect) -> None:
    client = connect(embedded)
    for number in range(PAGE + 3):
        await client.created(f"Number {number} of many")
    page = await visitor.open(embedded.url)
    entries = page.locator("aside li")
    await expect(entries).to_have_count(PAGE)
    await page.get_by_role("button", name="Show more").click()
    await expect(entries.filter(has_text="of many")).to_have_count(PAGE + 3)
    await expect(entries.nth(PAGE).get_by_role("link")).to_be_focused()
    prompts = await entries.filter(has_text="of many").locator(".what").all_inner_texts()
    assert prompts == [f"Number {number} of many" for number in reversed(range(PAGE + 3))]
    await ask_for(page, "One more, on top of them")
    await expect(entries.first).to_contain_text("One more, on top of them")
    await expect(entries.filter(has_text="of many")).to_have_count(PAGE + 3)


async def test_on_a_phone_what_comes_next_is_at_hand(embedded: Program, browser: Browser) -> None:
    async with visiting(browser, NARROW) as visitor:
        page = await visitor.open(embedded.url)
        await ask_for(page, "A stoat on a phone")
        await expect(status(page)).to_have_text("Pick a picture")
        await make(page, 1)
        await expect_model(page)
        assert await top(page.locator(".files")) < await top(delete(page))
        [anew] = await page.get_by_role("link", name=re.compile("^New")).all()
        assert await top(anew) < await top(page.get_by_role("heading", level=1))
        await anew.click()
        await expect(page.get_by_label("Your words")).to_be_visible()


def delete(page: Page) -> Locator:
    return page.get_by_role("button", name="Delete")


async def top(of: Locator) -> float:
    """How far down the page it begins."""
    return float(await of.evaluate("element => element.getBoundingClientRect().top + scrollY"))


async def test_all_of_it_by_keyboard(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    keyboard = page.keyboard
    await page.get_by_label("Your words").focus()
    await keyboard.type("A seal")
    await keyboard.press("Control+Enter")
    await expect(page.locator("#main")).to_be_focused()
    await expect(page.locator(".picture[data-status=COMPLETED]")).to_have_count(4)
    await tab_to(page, page.get_by_role("radio", name=re.compile("Picture 1")))
    await keyboard.press("Space")
    await keyboard.press("ArrowRight")
    await expect(page.get_by_role("radio", name=re.compile("Picture 2"))).to_be_checked()
    await tab_to(page, page.get_by_label("Longest side"))
    await keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="The model")).to_be_focused()
    await expect_model(page)
    await expect(page.get_by_role("heading", name="The model")).to_be_focused()
    await tab_to(page, page.locator(".viewer canvas"))
    before = await page.locator(".viewer canvas").screenshot()
    await keyboard.press("ArrowLeft")
    await keyboard.press("+")
    assert await page.locator(".viewer canvas").screenshot() != before
    await keyboard.press("Shift+Tab")
    await page.get_by_role("button", name="Delete").focus()
    await keyboard.press("Enter")
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Delete")).to_be_focused()


def operation_of(request: Request) -> str | None:
    """The name of the operation that the page asks for."""
    name: str | None = (request.post_data_json or {}).get("operationName")
    return name


async def tab_to(page: Page, wanted: Locator) -> None:
    for _ in range(40):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by Tab")


async def test_a_screen_reader_is_told_what_happens(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await page.evaluate(LISTEN)
    await ask_for(page, "A swan fail:2 model-delay=2")
    await expect(status(page)).to_have_text("Pick a picture")
    await make(page, 1)
    await expect_model(page)
    said = await page.evaluate("said")
    for sentence in ("Picture 1 is ready.", "Picture 3 failed: The picture was refused.", "The model is ready."):
        assert sentence in said
    assert any(re.fullmatch(r"Model: shaping, over \d+ per cent\.", sentence) for sentence in said)


async def test_without_webgl_there_is_a_picture_of_the_model(embedded: Program, connect: Connect) -> None:
    client = connect(embedded)
    made = await whole(client, "A toad, flat")
    async with chromium(webgl=False) as browser, visiting(browser) as visitor:
        page = await visitor.open(f"{embedded.url}/?request={made}")
        await expect(page.locator(".viewer")).to_have_attribute("data-state", "flat")
        await expect(page.get_by_role("img", name="The model: A toad, flat")).to_be_visible()


async def whole(client: Client, prompt: str) -> str:
    """A request with a finished model."""
    made = await client.created(prompt)
    await client.follow(made, in_phase("AWAITING_SELECTION"))
    await client.select(made, 0)
    await client.follow(made, in_phase("COMPLETED"))
    return made


async def test_a_request_that_is_not_there_is_said_to_be_gone(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(f"{embedded.url}/?request=req_01h00000000000000000000000")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is no such request")
    await page.get_by_role("link", name="Make something new").click()
    await expect(page.get_by_label("Your words")).to_be_visible()


async def test_a_picture_is_named_in_few_words(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "A tern " + "with one more feather " * 20 + "at last")
    await expect(picture(page, 2).locator("img")).to_have_attribute(
        "alt", re.compile(r"^Picture 2: A tern with one more feather .{20,60} …$")
    )
    await expect(page.get_by_role("radio", name="Picture 2 Ready", exact=True)).to_be_enabled()


async def test_markup_in_a_prompt_stays_text(embedded: Program, visitor: Visitor) -> None:
    page = await visitor.open(embedded.url)
    await ask_for(page, "<img src=x onerror=alert(1)><b>A crow</b>")
    await expect(status(page)).to_have_text("Pick a picture")
    assert await page.locator("h1 img, h1 b").count() == 0
    assert visitor.complaints == []


async def test_offline_stand_ins_are_told_of(
    embedded: Program, visitor: Visitor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    notice = "Offline stand-ins are in use: pictures are drawn by rules on this machine, and a model is its picture in"
    local = {"PROMPT_PROVIDER": "local", "IMAGE_PROVIDER": "local", "MODEL_PROVIDER": "local"}
    with running(tmp_path_factory.mktemp("standins"), local, served=False) as program:
        page = await visitor.open(program.url)
        await expect(page.locator("#main")).to_contain_text(notice)
        await ask_for(page, "A cube")
        await expect(page.locator("#main")).to_contain_text(notice)
    page = await visitor.open(embedded.url)
    await ask_for(page, "A cube of another make")
    await expect(status(page)).to_have_text("Pick a picture")
    await expect(page.locator(".standins")).to_have_count(0)
