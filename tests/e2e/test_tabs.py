"""Several tabs: of one conversation, and of one person who logs out."""

import re

from playwright.sync_api import expect

from tests.e2e.browser import log_in
from tests.e2e.conftest import SLUG
from tests.prompts.visitor import make_person


def test_what_one_tab_writes_the_other_shows_and_what_was_typed_there_stays(arrive):
    first = arrive(model="mock-tokens-20-5")
    first.ask("hello")
    first.wait_for()
    second = first.another_tab()
    second.go(first.page.url.removeprefix(first.base_url))
    second.box.fill("half a thought")
    first.ask("and on")
    expect(second.page.locator(".bubble")).to_have_text(["hello", "and on"])
    second.wait_for()
    expect(second.page.locator(".message-answer")).to_have_count(2)
    expect(second.box).to_have_value("half a thought")
    # another branch is offered
    first.page.locator(".bubble").first.hover()
    first.page.get_by_role("button", name=re.compile("Edit")).first.click()
    field = first.page.locator("[data-edit-form] textarea")
    field.fill("hello otherwise")
    field.press("Enter")
    first.wait_for()
    expect(second.page.locator("#notices")).to_contain_text("went on differently")
    expect(second.page.locator(".bubble")).to_have_text(["hello", "and on"])
    second.page.get_by_role("link", name="Show how it went on").click()
    expect(second.page.locator(".bubble")).to_have_text(["hello otherwise"])
    expect(second.box).to_have_value("half a thought")


def test_what_another_browser_wrote_is_shown_to_whoever_begins_to_write(arrive):
    first = arrive()
    first.ask("hello")
    first.wait_for()
    other = arrive(user=first.person, is_alone=True, path=None)
    other.page.clock.install()
    other.go(first.page.url.removeprefix(first.base_url))
    expect(other.page.locator(".bubble")).to_have_text(["hello"])
    first.ask("and on")
    other.box.press_sequentially("on")
    expect(other.page.locator(".bubble")).to_have_text(["hello"])
    other.page.clock.fast_forward(21_000)
    other.box.press_sequentially("e")
    expect(other.page.locator(".bubble")).to_have_text(["hello", "and on"])
    expect(other.box).to_have_value("one")


def test_a_draft_survives_a_reload_and_neither_a_log_out_nor_another_person(arrive):
    first = arrive()
    second = first.another_tab()
    second.go()
    second.box.fill("mine")
    second.page.reload()
    expect(second.box).to_have_value("mine")
    # in another tab
    first.page.locator(".person-button").click()
    first.page.get_by_role("button", name="Log out").click()
    expect(first.page).to_have_url(re.compile("/accounts/login/"))
    expect(second.page).to_have_url(re.compile("/accounts/login/"))
    port = int(first.base_url.rsplit(":", 1)[1])
    log_in(first.context, SLUG, first.person, port, "mock")
    second.go()
    expect(second.box).to_have_value("")
    # somebody else, in a tab that nobody has left
    second.box.fill("mine again")
    log_in(first.context, SLUG, make_person(SLUG), port, "mock")
    second.page.reload()
    expect(second.box).to_have_value("")
