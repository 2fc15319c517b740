"""The frame of the pages: rail, stage and panel, what is beside the page, and the rail's keys."""

import base64
import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from administration.rail import _discover, _places, rail_place
from tenants.context import Scope
from tests.admin.test_rail import register_ten
from tests.conftest import HostClient
from tests.e2e.axe import list_violations
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


def go_home(house, browser: Browser, width: int, theme: str) -> Page:
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


def test_a_dialog_leaves_no_bright_strip_and_a_narrow_window_is_used_whole(house, with_scrollbars):
    for theme in ("light", "dark"):
        page = go_home(house, with_scrollbars, 1280, theme)
        page.keyboard.press("Control+k")
        expect(page.locator("dialog[open]")).to_be_visible()
        assert page.locator(".shell").bounding_box()["width"] < 1280, "room for a bar is kept free"
        inside, beside = pixels(with_scrollbars, page, (1200, 700), (1276, 700))
        assert all(abs(one - other) <= 2 for one, other in zip(inside, beside, strict=True)), (inside, beside)
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 800})
    box = page.locator(".composer-box").bounding_box()
    assert abs(box["x"] - (390 - box["x"] - box["width"])) <= 1


def test_a_conversation_is_one_stop_of_the_tab_key_and_its_menu_opens_by_its_key(arrive):
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

    menu = chat.page.locator("#conversation-menu")
    links.nth(0).focus()
    chat.page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    for key in ("Shift+F10", "ContextMenu"):
        chat.page.keyboard.press(key)
        expect(menu).to_be_visible()
        expect(menu.get_by_role("button", name="Rename")).to_be_focused()
        chat.page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        links.nth(1).focus()
    chat.page.keyboard.press("Shift+F10")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_role("textbox", name="Title of the conversation")).to_have_value("Second")


def test_the_sheet_of_the_rail_keeps_the_focus_and_gives_it_back(arrive):
    chat = arrive(viewport={"width": 390, "height": 800})
    opener = chat.page.get_by_role("button", name="Menu", exact=True)
    for ending in ("Escape", "button"):
        opener.click()
        close = chat.page.get_by_role("button", name="Close the menu")
        expect(close).to_be_focused()
        for key in ("Shift+Tab", "Shift+Tab", *["Tab"] * 6):
            chat.page.keyboard.press(key)
            at = chat.page.evaluate("document.activeElement.closest('.stage, .skip-link')?.className ?? ''")
            assert at == "", "what lies behind"
        chat.page.keyboard.press("Escape") if ending == "Escape" else close.click()
        expect(opener).to_be_focused()


MEASURE = """() => {
  const box = (selector) => {
    const { top, bottom, left, right } = document.querySelector(selector).getBoundingClientRect();
    return { top, bottom, left, right };
  };
  const scroll = document.querySelector(".rail-scroll");
  return {
    brand: box(".rail-brand"), scroll: box(".rail-scroll"), person: box(".person-button"),
    first: box("#conversation-list .conversation-row"),
    reaches: scroll.scrollHeight - scroll.clientHeight,
    places: document.querySelectorAll(".rail-places a").length,
    wide: scroll.scrollWidth - scroll.clientWidth,
  };
}"""


def test_ten_places_and_conversations_fit_a_low_window(arrive, monkeypatch):
    """The pages are made here, where ten places are registered, and shown with the house's files."""
    chat = arrive(role="owner", path=None, viewport={"width": 1024, "height": 600})
    for number in range(12):
        make_conversation(chat.person, f"Bundesausbildungsförderungsgesetzesänderung {number}")
    _discover()
    monkeypatch.setattr("administration.rail._places", dict(_places))
    register_ten(rail_place)
    client, pages = HostClient(f"{TENANTS[0]}.localhost", Scope("tenant", TENANTS[0])), {}
    for language in ("en", "de"):
        chat.person.language = language
        chat.person.save(update_fields=["language"])
        client.login_as(chat.person)
        for rail in ("open", "collapsed"):
            client.cookies["atrium_rail"] = rail
            pages[rail, language] = client.get("/").content.decode()
    shown = iter(pages.values())
    chat.page.route(
        f"{chat.base_url}/", lambda route: route.fulfill(body=next(shown), content_type="text/html")
    )
    for rail, language in pages:
        chat.go()
        expect(chat.page.locator("html")).to_have_attribute("lang", language)
        check_low_window(chat.page, rail)


def check_low_window(page: Page, rail: str) -> None:
    found = page.evaluate(MEASURE)
    assert found["places"] == 10 and found["wide"] <= 0
    assert found["brand"]["top"] >= 0 and found["person"]["bottom"] <= 600
    if rail == "open":
        assert found["first"]["bottom"] <= found["scroll"]["bottom"], (
            "a conversation is in sight below the places"
        )
        assert found["reaches"] > 0, "places and conversations scroll as one"
    else:
        assert found["reaches"] == 0, "all ten icons are in sight"
    page.locator(".rail-places a").last.scroll_into_view_if_needed()
    expect(page.locator(".rail-places a").last).to_be_in_viewport()


def test_the_names_of_icons_show_when_they_are_reached(arrive):
    chat = arrive()
    chat.page.get_by_role("button", name="Collapse or expand the menu").click()
    link = chat.page.locator(".rail-places").get_by_role("link", name="Chat")
    name = link.locator(".rail-label")
    width = "(element) => element.getBoundingClientRect().width"
    assert name.evaluate(width) <= 1
    link.focus()
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Tab")
    assert name.evaluate(width) > 20
    box, beside = name.bounding_box(), link.bounding_box()
    assert box["x"] >= beside["x"] + beside["width"], "beside the icon, not cut off"
    chat.page.reload()
    assert chat.page.locator("#rail").bounding_box()["width"] < 80, "it stays so"


def test_the_rail_works_without_scripts(arrive):
    chat = arrive(path="/usage/", java_script_enabled=False)
    page = chat.page
    page.locator(".person-button").click()
    page.locator("#person-menu").get_by_role("link", name="API keys").click()
    expect(page.locator("h1")).to_have_text("API keys")
    page.get_by_role("link", name="All conversations").click()
    expect(page.locator("h1")).to_have_text("Conversations")


OWN_PAGES = ("/", "/usage/", "/keys/", "/profile/", "/accounts/password/change/", "/c/", "/nothing/")


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (390, "light")])
def test_pages_in_the_shell_are_free_of_findings(arrive, width, theme):
    chat = arrive(path=None, viewport={"width": width, "height": 844}, color_scheme=theme, expected=("404",))
    make_conversation(chat.person, "Bundesausbildungsförderungsgesetzesänderung")
    # half of them in each look: all of them were looked at in both (ATRIUM_PROOF=night does it again)
    is_night = os.environ.get("ATRIUM_PROOF") == "night"
    for path in OWN_PAGES if is_night else OWN_PAGES[width == 390 :: 2]:
        chat.go(path)
        assert list_violations(chat.page) == [], path
    opener = ".opens-rail" if width == 390 else ".person-button"
    chat.page.locator(opener).click()
    assert list_violations(chat.page, "#rail") == []
