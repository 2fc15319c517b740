"""Other ways than a mouse at a large screen: the keyboard alone, a telephone, no scripts, a screen reader, an
input method.
"""

import re

from playwright.sync_api import expect

from prompts.models import Conversation
from tests.e2e.browser import Chat
from tests.e2e.conftest import SLUG
from tests.prompts.chats import last_answer, make_conversation, say
from tests.prompts.visitor import make_person, said

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
WIDE = f"""# {"Donaudampfschifffahrtsgesellschaft" * 3}

| {" | ".join(f"column {number}" for number in range(12))} |
|{"---|" * 12}
| {" | ".join("figure" * 4 for _ in range(12))} |

```python
print("{"x" * 300}")
```

https://example.org/{"path/" * 60} and `{"inline" * 40}`
"""


def tab_to(chat: Chat, selector: str, key: str = "Tab") -> None:
    """Press Tab until the focus is there."""
    for _press in range(80):
        if chat.page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
        chat.page.keyboard.press(key)
    raise AssertionError(f"no way to {selector} by keyboard")


def test_everything_is_done_by_keyboard(arrive):
    chat = arrive()
    keyboard = chat.page.keyboard
    tab_to(chat, ".skip-link", "Shift+Tab")
    expect(chat.page.locator(".skip-link")).to_be_in_viewport()
    keyboard.press("Enter")
    expect(chat.page.locator("#main")).to_be_focused()
    tab_to(chat, "#composer-text")
    keyboard.type("first line")
    keyboard.press("Shift+Enter")
    keyboard.type("second line")
    keyboard.press("Enter")
    chat.wait_for()
    expect(chat.page.locator(".bubble")).to_have_text("first line\nsecond line")

    tab_to(chat, ".message-actions form button", "Shift+Tab")
    keyboard.press("Enter")
    expect(chat.answer).to_be_focused()
    chat.wait_for()

    tab_to(chat, "[popovertarget=chat-menu]", "Shift+Tab")
    keyboard.press("Enter")
    tab_to(chat, "#chat-title")
    keyboard.press("Control+a")
    keyboard.type("Typed title")
    keyboard.press("Enter")
    expect(chat.page.locator("h1")).to_have_text("Typed title")
    expect(chat.rows).to_have_text(["Typed title"])

    tab_to(chat, "#conversation-list a[data-conversation]", "Shift+Tab")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    expect(chat.page.locator("#conversation-list .conversation-more-button")).to_have_attribute(
        "aria-expanded", "true"
    )
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    dialog = chat.page.get_by_role("dialog", name="Delete this conversation?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(chat.page.locator("h1")).to_have_text("New chat")
    assert not Conversation.objects.filter(user=chat.person).exists()

    chat.page.wait_for_load_state()  # another page came, whose scripts listen from then on
    keyboard.press("Control+k")
    keyboard.type("usage")
    keyboard.press("Enter")
    expect(chat.page).to_have_url(re.compile("/usage/$"))


def test_a_telephone_has_the_rail_as_a_sheet(arrive):
    chat = arrive(path=None, **PHONE)
    conversation = make_conversation(chat.person, "On the road")
    chat.go()
    rail = chat.page.locator("#rail")
    expect(rail).to_be_hidden()
    chat.page.get_by_role("button", name="Menu").tap()
    expect(rail).to_be_visible()
    rail.get_by_role("button", name="Close the menu").tap()
    expect(rail).to_be_hidden()
    chat.page.get_by_role("button", name="Menu").tap()
    rail.get_by_role("link", name="On the road").tap()
    expect(chat.page).to_have_url(re.compile(f"/c/{conversation.pk}/$"))
    expect(rail).to_be_hidden()
    chat.box.tap()
    chat.box.fill("hello")
    chat.page.get_by_role("button", name="Send").tap()
    expect(chat.page.locator(".message-answer")).to_have_count(2)
    chat.wait_for()
    expect(chat.answer).to_be_in_viewport()
    chat.page.get_by_role("button", name="Menu").tap()
    rail.get_by_role("link", name="New chat").tap()
    expect(chat.page.locator("h1")).to_have_text("New chat")


NARROW = (
    "/",
    "/c/",
    "/keys/",
    "/usage/",
    "/profile/",
    "/accounts/password/change/",
    "/c/00000000-0000-0000-0000-000000000000/",
)


def test_nothing_is_wider_than_360_pixels(arrive):
    """With scripts in the longest language; the others cost a fifth without."""
    person = make_person(SLUG)
    conversation = make_conversation(person, "Bundesausbildungsförderungsgesetzesänderung" * 2)
    say(last_answer(conversation), WIDE)
    narrow = {"path": None, "viewport": {"width": 360, "height": 780}, "expected": ("404",)}
    whole, plain = (arrive(user=person, **narrow, **more) for more in ({}, {"java_script_enabled": False}))
    for language, chat in (("de", whole), ("en", plain), ("zh-hans", plain)):
        person.language = language
        person.save(update_fields=["language"])
        for path in (*NARROW, f"/c/{conversation.pk}/"):
            chat.go(path)
            wide = chat.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, f"{path} is {wide} pixels too wide in {language}"


def test_the_chat_works_without_scripts(arrive):
    chat = arrive(model="chat-3-s", java_script_enabled=False)
    page = chat.page
    page.locator("#composer-text").fill("hello")
    page.get_by_role("button", name="Send").click()
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    chat.wait_for()  # the page reloads itself
    assert chat.read() == said(60)
    page.locator("#composer-model").select_option("chat-10-s")
    page.locator("#composer-text").fill("more")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message-answer")).to_have_count(2)
    page.get_by_role("button", name="Stop", exact=True).click()
    chat.wait_for("stopped")
    page.get_by_role("button", name="More for this conversation").click()
    page.locator("#chat-title").fill("Without scripts")
    page.get_by_role("button", name="Save title").click()
    expect(page.locator("h1")).to_have_text("Without scripts")
    chat.go("/c/?q=without")
    page.get_by_role("link", name="Without scripts").click()
    page.get_by_role("button", name="More for this conversation").click()
    page.get_by_role("button", name="Delete conversation …").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete conversation", exact=True).click()
    expect(page.locator("h1")).to_have_text("New chat")
    assert not Conversation.objects.filter(user=chat.person).exists()


def test_a_screen_reader_hears_each_answer_once(arrive):
    chat = arrive(model="mock-tokens-200-20")
    chat.page.evaluate("""() => {
        window.heard = [];
        const region = document.querySelector("#announcer");
        const hear = () => region.textContent && window.heard.push(region.textContent);
        new MutationObserver(hear).observe(region, {childList: true});
    }""")
    for number in (1, 2):
        chat.ask(f"question {number}")
        if number == 1:  # the second is finished at once
            expect(chat.answer).to_have_attribute("aria-busy", "true")
        assert chat.answer.evaluate("(element) => element.closest('[aria-live]') === null"), (
            "the growing text is not read out piece by piece"
        )
        chat.wait_for()
        chat.page.wait_for_function("(count) => window.heard.length >= count", arg=number)
        chat.page.locator("#composer-model").select_option("mock")
    long, short = chat.page.evaluate("window.heard")
    assert re.match(r"The answer is finished: w0 w1 .* w\d+ This was its beginning", long)
    told = " ".join(re.findall(r"w\d+", long))
    assert said(200).startswith(f"{told} "), "in whole words, with the way on"
    assert short == f"The answer is finished: {said(8)}"
    assert chat.page.locator("#announcer").get_attribute("aria-live") == "polite"


def test_enter_in_an_input_method_chooses_and_does_not_send(arrive):
    chat = arrive()
    keyboard = chat.context.new_cdp_session(chat.page)
    chat.box.focus()
    keyboard.send("Input.imeSetComposition", {"text": "ni hao", "selectionStart": 6, "selectionEnd": 6})
    # as input methods report it
    enter = {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", enter)
    keyboard.send("Input.insertText", {"text": "你好"})
    keyboard.send("Input.dispatchKeyEvent", enter)  # Safari ends the composition first
    expect(chat.box).to_have_value("你好")
    expect(chat.page.locator(".message")).to_have_count(0)
    for selector in ("#notices", "#budget-banner"):
        expect(chat.page.locator(selector)).to_be_hidden()  # what says nothing takes no place
    expect(chat.page).to_have_url(re.compile("/$"))
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator(".bubble")).to_have_text("你好")
    chat.wait_for()
