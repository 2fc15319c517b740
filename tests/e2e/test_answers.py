"""Asking and reading: an answer grows, survives a reload, is seen in every tab, stopped, continued, written again, copied and paid for."""

import re

from playwright.sync_api import expect

from prompts.models import Message
from tests.prompts.chats import last_answer, make_conversation
from tests.prompts.visitor import said

CODE = "A list:\n\n- one\n- two\n\n```python\nif a < b:\n    print('a')\n```\n\nThe end."


def test_an_answer_grows_while_it_is_written(arrive):
    chat = arrive(model="chat-3-s")
    chat.page.evaluate("""() => {
        window.lengths = new Set();
        new MutationObserver(() => window.lengths.add(document.querySelector(".message-answer .prose")?.innerText.length ?? 0))
            .observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")
    chat.ask("Count, please")
    expect(chat.page.locator(".message-user .bubble")).to_have_text("Count, please")
    expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    expect(chat.page).to_have_title(re.compile("^Count, please"))
    chat.wait_for()
    assert chat.read() == said(60)
    assert chat.page.evaluate("window.lengths.size") > 5, "it came in steps"
    expect(chat.rows.first).to_have_text("Count, please")
    expect(chat.box).to_be_focused()
    expect(chat.box).to_have_value("")


def test_a_reload_in_mid_answer_loses_nothing(arrive):
    chat = arrive(model="chat-3-s")
    chat.ask("hello")
    for words in (5, 25):
        chat.wait_for_words(words)
        chat.page.reload()
    chat.wait_for()
    assert chat.read() == said(60)


def test_a_second_tab_shows_the_same_answer(arrive):
    chat = arrive(model="chat-3-s")
    chat.ask("hello")
    chat.wait_for_words(5)
    other = chat.another_tab()
    other.page.goto(chat.page.url)
    other.wait_for_words(10)
    expect(other.answer).to_have_attribute("data-status", re.compile("pending|streaming"))
    for tab in (chat, other):
        tab.wait_for()
        assert tab.read() == said(60)


def test_stop_continue_and_answer_again(arrive):
    chat = arrive(model="chat-10-s")
    chat.ask("hello")
    chat.wait_for_words(5)
    chat.page.get_by_role("button", name="Stop the answer").click()
    chat.wait_for("stopped")
    stopped = chat.read()
    assert said(200).startswith(stopped) and stopped != said(200)
    expect(chat.answer).to_contain_text("You stopped this answer.")

    chat.answer.get_by_role("button", name="Continue").click()
    expect(chat.text).to_contain_text(re.compile(r"w\d+w0 w1 "))  # the mock begins from the beginning, where the text stood
    chat.box.press("Escape")
    chat.wait_for("stopped")
    assert chat.read().startswith(stopped) and len(chat.read()) > len(stopped)

    chat.page.locator("#composer-model").select_option("mock")
    chat.answer.hover()
    chat.answer.get_by_role("button", name="Answer again").click()
    chat.wait_for("done")
    assert chat.read() == said(8)
    expect(chat.answer.locator(".message-model")).to_have_text("mock")
    expect(chat.page.locator(".message-answer")).to_have_count(1)


def test_a_failed_answer_says_why_and_can_be_tried_again(arrive, house):
    house.mock.reset()  # the fault counts from here
    chat = arrive(model="fault-flaky")
    chat.ask("hello")
    chat.wait_for("failed")
    expect(chat.answer).to_contain_text("status 503")
    chat.answer.get_by_role("button", name="Try again").click()
    chat.wait_for("done")
    assert chat.read() == said(8)


def test_tokens_and_cost_of_answer_and_conversation(arrive):
    chat = arrive(model="mock")
    for turns, (tokens, cost, all_tokens, all_cost) in enumerate([("11", "0.000019 EUR", "11", "0.000019 EUR"), ("22", "0.000030 EUR", "33", "0.000049 EUR")]):
        chat.ask("hello there" if turns == 0 else "again")
        chat.wait_for()
        button = chat.answer.locator(".figures-button")
        expect(button).to_contain_text(f"{tokens} tokens")
        expect(button).to_contain_text(cost)
        chat.answer.hover()
        button.click()
        figures = chat.page.locator("#figures")
        expect(figures).to_be_visible()
        expect(figures).to_contain_text("Tokens written")
        expect(figures).to_contain_text("req_")
        chat.page.keyboard.press("Escape")
        chat.page.get_by_role("button", name="More for this conversation").click()
        expect(chat.page.locator("#chat-figures dd")).to_have_text([all_tokens, re.compile(all_cost.replace(" ", r"\s"))])
        chat.page.keyboard.press("Escape")


def test_the_model_picker_changes_the_model(arrive):
    chat = arrive(model="mock")
    picker = chat.page.locator("#composer-model")
    expect(picker).to_have_value("mock")
    picker.select_option("mock-echo")
    chat.ask("say this")
    chat.wait_for()
    assert chat.read() == "say this"
    expect(chat.answer.locator(".message-model")).to_have_text("mock-echo")
    for path in (None, "/"):
        chat.page.reload() if path is None else chat.go(path)
        expect(picker).to_have_value("mock-echo")


def test_copying_an_answer_and_a_block_of_code(arrive):
    chat = arrive(permissions=["clipboard-read", "clipboard-write"], path=None)
    conversation = make_conversation(chat.person, "Code")
    Message.objects.filter(pk=last_answer(conversation).pk).update(text=CODE)
    chat.go(f"/c/{conversation.pk}/")

    def clipboard() -> str:
        return chat.page.evaluate("navigator.clipboard.readText()")

    chat.answer.locator("[data-copy-code]").click()
    expect(chat.page.locator("#announcer")).to_have_text("Copied")
    assert clipboard() == "if a < b:\n    print('a')"
    chat.answer.hover()
    chat.answer.locator("[data-copy-message]").click()
    chat.page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('The end.')")
    assert "A list:" in clipboard() and "if a < b:\n    print('a')" in clipboard() and "Copy" not in clipboard()
    html = chat.page.evaluate("async () => (await (await (await navigator.clipboard.read())[0].getType('text/html')).text())")
    assert "<li>one</li>" in html and "<button" not in html
