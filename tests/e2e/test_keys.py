"""The chat by keyboard: stopping, shortcuts, choosing a model."""

import re

from playwright.sync_api import Page, expect

from tests.prompts.chats import make_conversation


def test_stop_and_escape_from_wherever_one_is(arrive):
    """The buttons of another answer are forms: they have nothing that Escape would close."""
    chat = arrive(model="chat-10-s")
    page = chat.page
    chat.ask("hello")
    chat.wait_for_words(5)
    page.get_by_role("button", name="Stop the answer").focus()
    page.keyboard.press("Enter")
    chat.wait_for("stopped")
    expect(chat.box).to_be_focused()
    page.evaluate("""() => {
      const form = document.createElement("form");
      form.append(Object.assign(document.createElement("button"), {id: "elsewhere"}));
      document.querySelector("#thread").append(form);
    }""")
    for place in ("#conversation-list a", "#elsewhere"):
        chat.ask("again")
        chat.wait_for_words(3)
        page.locator(place).first.focus()
        page.keyboard.press("Escape")
        chat.wait_for("stopped")


def test_after_a_finger_stops_no_keyboard_comes_up(arrive):
    chat = arrive(model="chat-10-s", has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    chat.box.fill("hello")
    chat.page.get_by_role("button", name="Send").tap()
    chat.wait_for_words(5)
    chat.page.get_by_role("button", name="Stop the answer").tap()
    chat.wait_for("stopped")
    expect(chat.answer).to_be_focused()


def open_panel(page: Page) -> None:
    """As a click on an answer's source does."""
    page.evaluate(
        """import(performance.getEntriesByType("resource").find(({name}) => /js\\/panel\\./.test(name)).name)
          .then(({openPanel}) => openPanel(document.getElementById("composer-text")))"""
    )
    expect(page.locator("[data-panel] button")).to_be_focused()


def test_escape_stops_beside_a_toast_and_an_open_panel(arrive):
    """Neither is closed by Escape, wherever else it is pressed."""
    chat = arrive(model="chat-10-s", path=None)
    row = f"#conversation-{make_conversation(chat.person, 'To be deleted').pk}"
    chat.go("/")
    chat.page.locator(row).hover()
    chat.page.locator(row).get_by_role("button").click()
    chat.page.get_by_role("button", name="Delete …", exact=True).click()
    chat.page.get_by_role("dialog").get_by_role("button", name="Delete conversation").click()
    toast, panel = chat.page.locator(".toast"), chat.page.locator("[data-panel]")
    toast.hover()  # it stays as long as somebody is at it
    open_panel(chat.page)
    chat.ask("hello")
    chat.wait_for_words(3)
    chat.page.keyboard.press("Escape")
    chat.wait_for("stopped")
    expect(toast).to_be_visible()
    expect(panel).to_be_visible()


def test_escape_closes_what_is_open_before_it_stops_anything(arrive):
    chat = arrive(model="thinks-6-s")
    stops = []
    chat.page.on("request", lambda request: stops.append(request.url) if "/stop/" in request.url else None)
    chat.ask("hello")
    for opener, opened in (("#model-button", "#model-chooser"), ("[popovertarget=chat-menu]", "#chat-menu")):
        chat.page.locator(opener).click()
        expect(chat.page.locator(opened)).to_be_visible()
        chat.page.keyboard.press("Escape")
        expect(chat.page.locator(opened)).to_be_hidden()
    open_panel(chat.page)
    chat.page.keyboard.press("Escape")
    expect(chat.page.locator("[data-panel]")).to_be_hidden()
    assert stops == []
    chat.wait_for()


def test_the_list_of_shortcuts_and_a_new_chat(arrive):
    chat = arrive(path=None)
    chat.go(f"/c/{make_conversation(chat.person).pk}/")
    listed = chat.page.get_by_role("dialog", name="Keyboard shortcuts")
    chat.box.press("?")
    expect(listed).to_be_hidden()
    expect(chat.box).to_have_value("?")
    chat.box.press("Control+/")
    expect(listed).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    expect(chat.box).to_be_focused()
    chat.box.fill("")
    chat.page.locator("#main").focus()
    chat.page.keyboard.press("?")
    expect(listed).to_be_visible()
    listed.get_by_role("checkbox").uncheck()
    chat.page.keyboard.press("Escape")
    chat.page.reload()
    chat.page.locator("#main").focus()
    chat.page.keyboard.press("?")
    expect(listed).to_be_hidden()
    chat.page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(listed.get_by_role("checkbox")).not_to_be_checked()
    chat.page.keyboard.press("Escape")
    chat.page.keyboard.press("Control+Shift+O")
    expect(chat.page).to_have_url(re.compile(r"localhost:\d+/$"))


def test_a_model_is_found_by_typing_and_chosen_by_keys(arrive):
    chat = arrive(model="mock")
    button, field = (
        chat.page.locator("#model-button"),
        chat.page.get_by_role("combobox", name="Search models"),
    )
    expect(button).to_have_accessible_name("Model: mock")
    button.focus()
    chat.page.keyboard.press("ArrowDown")
    expect(field).to_be_focused()
    rows = chat.page.get_by_role("option")
    active = chat.page.locator(".model-option.is-active")
    expect(active).to_have_attribute("aria-selected", "true")
    expect(active).to_have_attribute("data-value", "mock")
    before = rows.count()
    field.press_sequentially("mock-echo")
    expect(active).to_have_attribute("data-value", "mock-echo")
    assert 0 < rows.count() < before
    expect(field).to_have_attribute("aria-activedescendant", active.get_attribute("id"))
    field.press("Enter")
    expect(chat.page.locator("#model-chooser")).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_accessible_name("Model: mock-echo")
    chat.ask("say this")
    chat.wait_for()
    assert chat.read() == "say this"

    button.click()
    field.fill("nothing is called that")
    expect(chat.page.get_by_text("No model is called that.")).to_be_visible()
    field.press("Enter")
    expect(field).not_to_have_attribute("aria-activedescendant", re.compile("."))
    field.press("Escape")
    expect(button).to_be_focused()
    expect(chat.page.locator("#composer-model")).to_have_value("mock-echo")
    button.click()
    rows.filter(has_text=re.compile(r"^\s*mock\b(?!-)")).first.click()
    expect(button).to_have_accessible_name("Model: mock")
