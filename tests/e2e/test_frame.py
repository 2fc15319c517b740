"""The frame of the chat: what is beside the page, and the stops of the tab key in the rail."""

import base64
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import ARGUMENTS, find_browser, log_in
from tests.live import TENANTS
from tests.prompts.chats import make_conversation
from tests.prompts.visitor import make_person

READ_PIXELS = """async ([picture, places]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  return places.map(([x, y]) => [...canvas.getImageData(x, y, 1, 1).data]);
}"""


@pytest.fixture
def with_scrollbars(browser) -> Iterator[Browser]:
    """As people have it on a desktop: tests usually hide the bars."""
    other = browser.browser_type.launch(
        executable_path=find_browser(), args=ARGUMENTS, ignore_default_args=["--hide-scrollbars"]
    )
    yield other
    other.close()


def go_home(house, browser: Browser, width: int, theme: str = "light") -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=theme, reduced_motion="reduce"
    )
    log_in(context, TENANTS[0], make_person(TENANTS[0]), house.port, "mock")
    page = context.new_page()
    page.goto(f"http://{TENANTS[0]}.localhost:{house.port}/")
    return page


def pixels(browser: Browser, page: Page, *places: tuple[int, int]) -> list[list[int]]:
    reader = browser.new_page()
    picture = base64.b64encode(page.screenshot(animations="disabled")).decode()
    return reader.evaluate(READ_PIXELS, [picture, places])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_dialog_leaves_no_bright_strip_at_the_edge(house, with_scrollbars, theme):
    page = go_home(house, with_scrollbars, 1280, theme)
    page.keyboard.press("Control+k")
    expect(page.locator("dialog[open]")).to_be_visible()
    assert page.locator(".shell").bounding_box()["width"] < 1280, "room for a bar is kept free"
    inside, beside = pixels(with_scrollbars, page, (1200, 700), (1276, 700))
    assert all(abs(one - other) <= 2 for one, other in zip(inside, beside, strict=True)), (inside, beside)


def test_a_narrow_window_is_used_whole(house, with_scrollbars):
    page = go_home(house, with_scrollbars, 390)
    box = page.locator(".composer-box").bounding_box()
    assert abs(box["x"] - (390 - box["x"] - box["width"])) <= 1


def test_a_conversation_is_one_stop_of_the_tab_key(arrive):
    chat = arrive(path=None)
    for title in ("First", "Second", "Third"):
        make_conversation(chat.person, title)
    chat.go()
    links = chat.page.locator("#conversation-list a[data-conversation]")
    expect(links).to_have_count(3)
    links.nth(0).focus()
    chat.page.keyboard.press("Tab")
    expect(links.nth(1)).to_be_focused()
    chat.page.keyboard.press("ArrowRight")
    more = chat.page.locator("#conversation-list .conversation-more-button")
    expect(more.nth(1)).to_be_focused()
    chat.page.keyboard.press("ArrowLeft")
    expect(links.nth(1)).to_be_focused()
    chat.page.keyboard.press("ArrowRight")
    chat.page.keyboard.press("Tab")
    expect(links.nth(2)).to_be_focused()
