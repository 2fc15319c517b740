"""Finding one's way: the list by days, search, the palette, renaming, deleting."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from models_registry.embedded import note_preparing
from models_registry.seeds import seed_platform
from models_registry.services import add_connection, add_model, remove_connection, remove_model
from prompts.models import Conversation
from prompts.selectors import LIST_SIZE
from prompts.services import rename_conversation
from tenants.context import platform
from tests.prompts.chats import make_conversation


def open_menu(chat, title: str) -> None:
    """The menu of a conversation's row in the rail."""
    row = chat.page.locator("#conversation-list li", has_text=title)
    row.hover()
    row.get_by_role("button").click()


def test_the_list_is_grouped_by_days_and_goes_on(arrive):
    chat = arrive(path=None)
    for days in (0, 1, 5, 40):
        make_conversation(chat.person, f"{days} days ago", age=timedelta(days=days))
    chat.go()
    expect(
        chat.page.locator("#conversation-list > li").filter(
            has_text=re.compile("ago|Today|Yesterday|Last|Older")
        )
    ).to_have_text(
        [
            re.compile(text)
            for text in (
                "Today",
                "0 days",
                "Yesterday",
                "1 days",
                "Last 7 days",
                "5 days",
                "Older",
                "40 days",
            )
        ]
    )
    for number in range(LIST_SIZE):
        make_conversation(chat.person, f"another {number}", turns=0)
    chat.go()
    chat.page.locator("#conversation-list .conversation-more").scroll_into_view_if_needed()
    expect(chat.rows).to_have_count(LIST_SIZE + 4)


def test_renaming_in_the_list_and_in_the_bar(arrive):
    chat = arrive(path=None)
    conversation = make_conversation(chat.person, "First title")
    other = make_conversation(chat.person, "Another one")
    chat.go(f"/c/{conversation.pk}/")
    open_menu(chat, "First title")
    chat.page.get_by_role("button", name="Rename").click()
    field = chat.page.get_by_role("textbox", name="Title of the conversation")
    expect(field).to_have_value("First title")
    field.fill("Second <b>title</b>")
    field.press("Enter")
    expect(chat.rows.filter(has_text="Second <b>title</b>")).to_be_focused()
    expect(chat.page.locator("h1")).to_have_text("Second <b>title</b>")
    expect(chat.page).to_have_title(re.compile("^Second <b>title</b>"))

    chat.page.get_by_role("button", name="More for this conversation").press("Enter")
    expect(chat.page.locator("#chat-title")).to_be_visible()
    chat.page.wait_for_timeout(100)  # the menu's own event comes after it is shown
    chat.page.keyboard.press("ArrowDown")
    expect(chat.page.locator("#chat-title")).to_be_focused()
    chat.page.keyboard.press("ArrowDown")
    expect(chat.page.get_by_role("button", name="Save title")).to_be_focused()
    chat.page.locator("#chat-title").fill("Third title")
    chat.page.get_by_role("button", name="Save title").click()
    expect(chat.page.locator("h1")).to_have_text("Third title")
    expect(chat.rows.filter(has_text="Third title")).to_have_count(1)

    open_menu(chat, "Another one")
    chat.page.get_by_role("button", name="Rename").click()
    field.fill("not kept")
    field.press("Escape")
    chat.page.reload()
    expect(chat.rows).to_have_text([re.compile("Another one"), re.compile("Third title")])
    assert Conversation.objects.get(pk=other.pk).title == "Another one"


def test_the_focus_stays_in_the_list_when_it_comes_anew(arrive):
    chat = arrive(path=None)
    conversation = make_conversation(chat.person, "As it was")
    chat.go()
    for control in ("a", "button"):
        row = chat.page.locator(f"#conversation-{conversation.pk}")
        row.locator(control).focus()
        rename_conversation(conversation=conversation, title=f"Seen from the {control}")
        chat.page.evaluate("document.body.dispatchEvent(new CustomEvent('conversations-changed'))")
        expect(chat.rows).to_have_text([f"Seen from the {control}"])
        expect(row.locator(control)).to_be_focused()


@pytest.mark.parametrize("work", ["menu", "new title", "dialog"])
def test_a_list_that_comes_late_waits_for_who_is_at_a_row(arrive, work):
    chat = arrive(path=None)
    conversation = make_conversation(chat.person, "As it was")
    chat.go()
    expect(chat.rows).to_have_text(["As it was"])
    late = []
    chat.page.route("**/c/", lambda route: route.continue_() if late else late.append(route))
    with chat.page.expect_request("**/c/"):
        chat.page.evaluate("document.body.dispatchEvent(new CustomEvent('conversations-changed'))")
    open_menu(chat, "As it was")
    place = chat.page.locator("#conversation-menu")
    if work == "new title":
        chat.page.get_by_role("button", name="Rename").click()
        place = chat.page.get_by_role("textbox", name="Title of the conversation")
        place.fill("half a ti")
    elif work == "dialog":
        chat.page.get_by_role("button", name="Delete …", exact=True).click()
        place = chat.page.get_by_role("dialog", name="Delete this conversation?")
    rename_conversation(conversation=conversation, title="Renamed elsewhere")
    with chat.page.expect_event("requestfinished"):
        late[0].continue_()
    chat.page.evaluate("new Promise(requestAnimationFrame)")
    expect(place).to_be_visible()
    expect(chat.rows).to_have_text(["As it was"])

    chat.page.keyboard.press("Escape")
    expect(place).to_be_hidden()
    expect(chat.rows).to_have_text(["Renamed elsewhere"])


def test_deleting_asks_first(arrive):
    chat = arrive(path=None)
    conversation = make_conversation(chat.person, "To be deleted")
    other = make_conversation(chat.person, "Another one")
    chat.go(f"/c/{conversation.pk}/")
    dialog = chat.page.get_by_role("dialog", name="Delete this conversation?")

    open_menu(chat, "To be deleted")
    chat.page.get_by_role("button", name="Delete …", exact=True).click()
    expect(dialog).to_contain_text("To be deleted")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    expect(chat.rows).to_have_count(2)

    open_menu(chat, "Another one")
    chat.page.get_by_role("button", name="Delete …", exact=True).click()
    expect(dialog).to_contain_text("Another one")
    dialog.get_by_role("button", name="Delete conversation").click()
    expect(chat.rows).to_have_text([re.compile("To be deleted")])
    expect(chat.page.locator("h1")).to_have_text("To be deleted")

    chat.page.get_by_role("button", name="More for this conversation").click()
    chat.page.get_by_role("button", name="Delete conversation …").click()
    expect(dialog).to_contain_text("To be deleted")
    dialog.get_by_role("button", name="Delete conversation", exact=True).click()
    expect(chat.page).to_have_url(re.compile("/$"))
    expect(chat.page.locator("h1")).to_have_text("New chat")
    expect(chat.rows).to_have_count(0)
    assert not Conversation.objects.filter(pk__in=[conversation.pk, other.pk]).exists()


def test_a_conversation_that_could_not_be_deleted_stays_and_says_so(arrive):
    chat = arrive(path=None, expected=("500", "ERR_FAILED", "htmx:"))
    conversation = make_conversation(chat.person, "To be deleted")
    chat.go(f"/c/{conversation.pk}/")
    troubles = [lambda route: route.fulfill(status=500, body=""), lambda route: route.abort()]
    chat.page.route("**/delete/", lambda route: troubles.pop(0)(route))
    for words in ("failed on the server", "cannot be reached"):
        open_menu(chat, "To be deleted")
        chat.page.get_by_role("button", name="Delete …", exact=True).click()
        dialog = chat.page.get_by_role("dialog", name="Delete this conversation?")
        dialog.get_by_role("button", name="Delete conversation").click()
        expect(dialog).to_be_hidden()
        expect(chat.page.locator("#notices")).to_contain_text(words)
        expect(chat.rows).to_have_count(1)
        expect(chat.page.locator("#announcer")).to_be_empty()


def test_the_last_conversation_takes_its_heading_along_and_a_toast_that_can_be_shut_says_so(arrive):
    chat = arrive(path=None)
    for days in (0, 1):
        make_conversation(chat.person, f"{days} days ago", age=timedelta(days=days))
    chat.go()
    for days, left in ((1, ["Today"]), (0, [])):
        open_menu(chat, f"{days} days ago")
        chat.page.get_by_role("button", name="Delete …", exact=True).click()
        chat.page.get_by_role("dialog", name="Delete this conversation?").get_by_role(
            "button", name="Delete conversation"
        ).click()
        expect(chat.page.locator("#conversation-list .conversation-group")).to_have_text(left)
        expect(chat.page.locator("#announcer")).to_have_text("The conversation was deleted.")
        toast = chat.page.locator(".toast")
        expect(toast).to_contain_text("The conversation was deleted.")
        toast.get_by_role("button", name="Close").click()
        expect(toast).to_have_count(0)
        expect(chat.box).to_be_focused()
    expect(chat.page.locator("#conversation-list")).to_contain_text("Your conversations will be listed here.")


def test_the_palette_finds_conversations_and_begins_new_chats(arrive):
    chat = arrive(path=None)
    ledger = make_conversation(chat.person, "Ledgers of Acme")
    other = make_conversation(chat.person, "Something else")
    chat.go(f"/c/{other.pk}/")
    palette = chat.page.get_by_role("dialog", name="Search conversations, models, pages and actions")
    field = palette.get_by_role("combobox")
    conversations = palette.locator("#palette-conversations a")
    chosen = palette.locator("[aria-selected=true]:visible")

    chat.page.keyboard.press("Control+k")
    expect(field).to_be_focused()
    expect(conversations).to_have_count(2)
    chat.page.keyboard.type("ledgers")
    expect(conversations).to_have_text([re.compile("Ledgers of Acme")])
    expect(chosen).to_have_text(re.compile("Ledgers of Acme"))
    chat.page.keyboard.press("Enter")
    expect(chat.page).to_have_url(re.compile(f"/c/{ledger.pk}/$"))
    chat.page.wait_for_load_state()  # the scripts of the other page listen from then on

    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("nothing is called so")
    expect(palette.locator("[data-palette-empty]")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(palette).to_be_hidden()

    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("appearance dark")
    expect(chosen).to_have_text(re.compile("Dark"))
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(palette).to_be_hidden()

    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("new ch")
    expect(chosen).to_have_text(re.compile("New chat"))
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("h1")).to_have_text("New chat")
    expect(chat.page).to_have_url(re.compile("/$"))


def hold_sending(chat) -> list:
    """The routes of messages that are under way, which then wait to be let go."""
    held: list = []
    chat.page.route(
        re.compile(r"/c/(new/|[^/]+/messages/)$"),
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    return held


def send_and_write_on(chat, text: str, more: str) -> None:
    chat.box.fill(text)
    with chat.page.expect_request(lambda request: request.method == "POST"):
        chat.box.press("Enter")
    expect(chat.box).to_have_value("")
    chat.page.keyboard.type(more)


def test_what_is_written_while_a_message_is_sent_stays(arrive):
    """Also in a draft: in mid-sending with what may not have arrived, later by itself."""
    chat = arrive(model="mock-echo")
    held = hold_sending(chat)
    send_and_write_on(chat, "sent text", "also this please")
    assert chat.page.evaluate("sessionStorage.getItem('draft:/')") == "sent text\nalso this please"
    held[0].continue_()
    chat.wait_for()
    expect(chat.box).to_have_value("also this please")
    drafts = "Object.entries(sessionStorage).filter(([key]) => key.startsWith('draft:'))"
    place = chat.page.url.removeprefix(chat.base_url)
    assert chat.page.evaluate(drafts) == [[f"draft:{place}", "also this please"]]
    chat.page.reload()
    expect(chat.box).to_have_value("also this please")
    expect(chat.page.locator(".bubble")).to_have_text(["sent text"])


def test_what_could_not_be_sent_comes_back_before_what_was_written_meanwhile(arrive):
    chat = arrive(model="mock-echo", expected=("500", "ERR_FAILED", "htmx:"))
    for failure in ("no line", "refused"):
        held = hold_sending(chat)
        send_and_write_on(chat, "sent text", "also this please")
        chat.box.press("ArrowLeft")
        held[0].abort() if failure == "no line" else held[0].fulfill(status=500, body="")
        expect(chat.box).to_have_value("sent text\nalso this please")
        chat.page.keyboard.type("!")
        expect(chat.box).to_have_value("sent text\nalso this pleas!e")
        chat.page.reload()
        expect(chat.box).to_have_value("sent text\nalso this pleas!e")


def test_a_model_that_is_being_made_ready_comes_into_the_picker_by_itself(arrive):
    """What the person has chosen meanwhile stays chosen."""
    with platform():
        note_preparing(["Late Model"])
    try:
        chat = arrive()
        expect(chat.page.locator("#preparing")).to_contain_text("Late Model is being made ready")
        picker = chat.page.locator("#composer-model")
        picker.select_option("mock-echo")
        chat.box.fill("half a thought")
        connection = add_connection(
            actor=None, name="Late", kind="openai_compatible", base_url="https://api.example.com/v1"
        )
        late = add_model(actor=None, connection=connection, name="late-model")
    finally:
        with platform():
            note_preparing([])
    try:
        expect(picker.locator("option[value=late-model]")).to_have_count(1)
        expect(chat.page.locator("#preparing")).to_be_empty()
        expect(picker).to_have_value("mock-echo")
        expect(chat.box).to_have_value("half a thought")
    finally:
        remove_model(actor=None, model=late)
        remove_connection(actor=None, connection=connection)


def test_starters_and_small_print_follow_the_model(arrive):
    """The embedded runtime's demo model, and one that is taken for capable."""
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
    chat = arrive()
    picker, starters = chat.page.locator("#composer-model"), chat.page.locator(".starter:visible")
    for model, words, is_demo in (("mock", "weather and climate", False), ("atrium-tiny", "Hello", True)):
        picker.select_option(model)
        expect(starters).to_have_count(3)
        expect(starters.first).to_contain_text(words)
        expect(chat.page.locator('.set-note[data-set="demo"]')).to_be_visible(visible=is_demo)
        expect(chat.page.locator('.set-note[data-set="small"]')).to_be_hidden()


def test_a_starter_fills_the_composer(arrive):
    chat = arrive()
    starter = chat.page.locator(".starter:visible").first
    starter.click()
    expect(chat.box).to_have_value(starter.get_attribute("data-starter"))
    expect(chat.box).to_be_focused()
