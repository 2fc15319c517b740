"""Asking and reading: an answer grows, survives a reload, is seen in every tab, stopped, continued,
written again, copied and paid for.
"""

import re
from decimal import Decimal

from playwright.sync_api import expect

from tests.prompts.chats import (
    add_turns,
    last_answer,
    make_conversation,
    make_process,
    make_unfinished,
    say,
)
from tests.prompts.visitor import said
from usage.services import set_budget

CODE = (
    "# Title\n\nA *list*:\n\n- one\n- two\n\n$$x^2$$\n\n```python\nif a < b:\n    print('a')\n```\n\nThe end."
)
UNTIL_COPIED = """async (text) => {
    while (!(await navigator.clipboard.readText()).includes(text)) await new Promise(requestAnimationFrame);
}"""


def test_an_answer_grows_while_it_is_written_and_what_is_selected_stays_selected(arrive):
    """While it grows and when it ends, also backwards."""
    chat = arrive(model="chat-3-s")
    chat.page.evaluate("""() => {
        window.lengths = new Set();
        const prose = () => document.querySelector(".message-answer .prose");
        new MutationObserver(() => window.lengths.add(prose()?.innerText.length ?? 0))
            .observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")
    chat.ask("Count, please")
    expect(chat.page.locator(".message-user .bubble")).to_have_text("Count, please")
    expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    expect(chat.page).to_have_title(re.compile("^Count, please"))
    chat.wait_for_words(6)
    chat.text.evaluate("""(prose) => {
        const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
        while (!walker.nextNode().data.includes("w4"));
        const { currentNode: node } = walker;
        const [from, to] = ["w5", "w2"].map((word) => node.data.indexOf(word));
        document.getSelection().setBaseAndExtent(node, from, node, to);
        window.stays = new Set();
        document.addEventListener("selectionchange", () => {
            requestAnimationFrame(() => window.stays.add(document.getSelection().toString().trim()));
        });
    }""")
    chat.wait_for_words(30)
    chat.wait_for()
    selected = "() => [getSelection().toString().trim(), getSelection().direction]"
    assert chat.page.evaluate(selected) == ["w2 w3 w4", "backward"]
    assert chat.text.evaluate("(prose) => prose.contains(getSelection().anchorNode)")
    assert chat.page.evaluate("[...window.stays]") == ["w2 w3 w4"]
    assert chat.read() == said(60)
    assert chat.page.evaluate("window.lengths.size") > 2, "it came in steps"
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
    chat = arrive(model="chat-10-s")
    chat.ask("hello")
    chat.wait_for_words(5)
    other = chat.another_tab()
    other.page.goto(chat.page.url)
    other.wait_for_words(10)
    expect(other.answer).to_have_attribute("data-status", re.compile("pending|streaming"))
    other.page.keyboard.press("Escape")
    for tab in (chat, other):
        expect(tab.answer).to_have_attribute("data-status", re.compile("stopped|done"))
    assert chat.read() == other.read() and said(200).startswith(chat.read())


def test_stop_continue_and_answer_again(arrive):
    chat = arrive(model="chat-10-s")
    chat.ask("hello")
    chat.wait_for_words(10)
    chat.page.evaluate("""() => {
        window.lengths = [];
        const prose = () => document.querySelector(".message-answer .prose");
        const note = () => window.lengths.push(prose()?.innerText.trim().length ?? 0);
        note();
        const changes = {subtree: true, childList: true, characterData: true};
        window.noting = new MutationObserver(note);
        window.noting.observe(document.querySelector("#thread"), changes);
    }""")
    chat.page.get_by_role("button", name="Stop the answer").click()
    chat.wait_for("stopped")
    lengths = chat.page.evaluate("window.noting.disconnect() ?? window.lengths")
    assert lengths == sorted(lengths) and lengths[0] > 20, "nothing moves that is being read"
    stopped = chat.read()
    assert said(200).startswith(stopped) and stopped != said(200)
    expect(chat.answer).to_contain_text("You stopped this answer.")

    chat.answer.get_by_role("button", name="Continue").click()
    # the mock begins from the beginning, where the text stood
    expect(chat.text).to_contain_text(re.compile(r"w\d+w0 w1 "))
    chat.page.keyboard.press("Escape")  # wherever the focus is
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
    for turns, (tokens, cost, all_tokens, all_cost) in enumerate(
        [("11", "0.000019 €", "11", "0.000019 €"), ("22", "0.00003 €", "33", "0.000049 €")]
    ):
        chat.ask("hello there" if turns == 0 else "again")
        chat.wait_for()
        button = chat.answer.locator(".figures-button")
        expect(button).to_contain_text(f"{tokens} tokens")
        expect(button).to_contain_text("< 0.01 ct")
        chat.answer.hover()
        button.click()
        figures = chat.page.locator("#figures")
        expect(figures).to_be_visible()
        expect(figures).to_contain_text("Output tokens")
        expect(figures).to_contain_text("req_")
        expect(figures.locator('[data-figure="cost"]')).to_have_text(cost)
        as_the_server_writes = re.compile(r"^[A-Z][a-z]{2} \d{1,2}, \d{4}, \d\d:\d\d:\d\d$")
        expect(figures.locator('[data-figure="time"]')).to_have_text(as_the_server_writes)
        chat.page.keyboard.press("Escape")
        chat.page.get_by_role("button", name="More for this conversation").click()
        expect(chat.page.locator("#chat-figures dd")).to_have_text([all_tokens, "< 0.01 ct"])
        expect(chat.page.locator("#chat-figures [title]")).to_have_attribute(
            "title", all_cost.replace(" ", "\N{NO-BREAK SPACE}")
        )
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
    say(last_answer(conversation), CODE)
    chat.go(f"/c/{conversation.pk}/")

    def clipboard() -> str:
        return chat.page.evaluate("navigator.clipboard.readText()")

    chat.answer.locator("[data-copy-code]").click()
    expect(chat.page.locator("#announcer")).to_have_text("Copied")
    assert clipboard() == "if a < b:\n    print('a')"
    chat.answer.hover()
    chat.answer.locator("[data-copy-message]").click()
    chat.page.evaluate(UNTIL_COPIED, "The end.")
    assert "list:" in clipboard() and "if a < b:\n    print('a')" in clipboard() and "Copy" not in clipboard()
    html = chat.page.evaluate(
        "async () => (await (await (await navigator.clipboard.read())[0].getType('text/html')).text())"
    )
    assert "<li>one</li>" in html and "<button" not in html
    chat.answer.get_by_role("button", name="Copy as Markdown").click()
    chat.page.evaluate(UNTIL_COPIED, "# Title")
    assert clipboard() == CODE


def test_thoughts_come_folded_and_stay_open_for_whoever_reads_them(arrive):
    chat = arrive(model="thinks-6-s")
    chat.ask("hello")
    expect(chat.answer.locator("[data-elapsed]")).to_contain_text(re.compile(r"The model is thinking · \d"))
    thoughts = chat.answer.locator("details.reasoning")
    thoughts.locator("summary").click()
    expect(thoughts.locator(".reasoning-text")).to_contain_text(re.compile(r"\w"))
    chat.wait_for()
    expect(thoughts.locator("summary")).to_have_text(re.compile(r"Thought for \d seconds?"))
    expect(thoughts.locator(".reasoning-text")).to_be_visible()
    assert chat.read() == said(8)
    chat.page.reload()
    expect(thoughts.locator(".reasoning-text")).to_be_hidden()


def test_another_answer_stands_beside_the_first_and_arrows_lead_between_them(arrive):
    chat = arrive(model="mock")
    chat.ask("hello")
    chat.wait_for()
    expect(chat.page.locator(".siblings")).to_have_count(0)
    for model, status in (("fault-500", "failed"), ("mock-echo", "done")):
        chat.page.locator("#composer-model").select_option(model)
        chat.answer.hover()
        again = "Answer again" if model == "fault-500" else "Try again"
        chat.answer.get_by_role("button", name=again).click()
        chat.wait_for(status)
        expect(chat.page.locator(".message-answer")).to_have_count(1)
    arrows = chat.answer.get_by_role("navigation", name="Answers to this question")
    expect(arrows).to_contain_text("3 of 3")
    expect(chat.text).to_have_text("hello")
    for text, place in (("", "2 of 3"), (said(8), "1 of 3")):
        arrows.get_by_role("link", name="Earlier answer").click()
        expect(arrows).to_contain_text(place)
        expect(chat.text).to_have_text(text)
        expect(chat.page.locator("#announcer")).to_have_text(place)
    expect(arrows.get_by_role("link", name="Later answer")).to_be_focused()  # there is no earlier one
    for place in ("2 of 3", "3 of 3"):
        chat.page.keyboard.press("ArrowRight")
        expect(arrows).to_contain_text(place)
    chat.page.go_back()
    expect(arrows).to_contain_text("2 of 3")


def test_the_last_question_is_edited_and_asked_again(arrive):
    chat = arrive(model="mock-echo")
    for text in ("first", "second"):
        chat.ask(text)
        chat.wait_for()
    pencils = chat.page.get_by_role("button", name="Edit the question")
    bubble = chat.page.locator(".message-user .bubble").last
    field = chat.page.get_by_role("textbox", name="Your question")
    expect(pencils).to_have_count(2)

    bubble.hover()
    # Escape leaves all as it was, and so does Cancel; the focus goes back to where it came from
    pencils.last.click()
    expect(field).to_be_focused()
    expect(field).to_have_value("second")
    expect(bubble).to_be_hidden()
    field.fill("dropped")
    field.press("Escape")
    expect(field).to_have_count(0)
    expect(bubble).to_have_text("second")
    expect(pencils.last).to_be_focused()
    chat.box.press("ArrowUp")
    expect(field).to_be_focused()
    chat.page.get_by_role("button", name="Cancel").click()
    expect(chat.box).to_be_focused()
    assert chat.read() == "second"

    chat.box.press("ArrowUp")
    field.fill("third")
    field.press("Shift+Enter")
    field.press_sequentially("line")
    expect(field).to_have_value("third\nline")
    field.press("Enter")
    for is_reloaded in (False, True):
        if is_reloaded:
            chat.page.reload()
        expect(chat.page.locator(".message-user .bubble")).to_have_text(
            ["first", re.compile(r"third\s+line")]
        )
        chat.wait_for("done")
        expect(chat.page.locator(".message-answer .prose")).to_have_text(
            ["first", re.compile(r"third\s+line")]
        )
        expect(chat.box).to_be_focused()
    expect(chat.page).to_have_title(re.compile("^first"))


def stop_answer(chat) -> None:
    chat.page.get_by_role("button", name="Stop the answer").click()
    chat.wait_for("stopped")


def test_any_question_begins_a_branch_and_the_next_one_follows_what_is_shown(arrive):
    chat = arrive(model="mock-echo")
    for text in ("one", "two", "three"):
        chat.ask(text)
        chat.wait_for()
    bubbles = chat.page.locator(".message-user .bubble")
    bubbles.nth(1).hover()
    chat.page.get_by_role("button", name="Edit the question").nth(1).click()
    chat.page.get_by_role("textbox", name="Your question").fill("zwei")
    chat.page.get_by_role("button", name="Ask again").click()
    expect(bubbles).to_have_text(["one", "zwei"])
    chat.wait_for()
    chat.ask("drei")
    chat.wait_for()
    arrows = chat.page.get_by_role("navigation", name="Versions of this question")
    arrows.get_by_role("link", name="Earlier version").click()
    expect(bubbles).to_have_text(["one", "two", "three"])
    chat.ask("four")
    chat.wait_for()
    for is_reloaded in (False, True):
        if is_reloaded:
            chat.page.reload()
        expect(bubbles).to_have_text(["one", "two", "three", "four"])
        expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    arrows.get_by_role("link", name="Later version").click()
    expect(bubbles).to_have_text(["one", "zwei", "drei"])


def test_without_scripts_arrows_are_links(arrive):
    chat = arrive(path=None, java_script_enabled=False)
    conversation = make_conversation(chat.person, "Forked")
    add_turns(conversation, 2)
    chat.go(f"/c/{conversation.pk}/")
    bubbles = chat.page.locator(".message-user .bubble")
    expect(bubbles).to_have_count(2)
    chat.page.get_by_role("link", name="Earlier version").click()
    expect(bubbles).to_have_count(1)
    expect(chat.page.get_by_role("navigation", name="Versions of this question")).to_contain_text("1 of 2")


def test_what_is_refused_stays_in_the_field(arrive):
    chat = arrive(model="chat-10-s", expected=("409", "400"))
    chat.ask("hello")
    # not while the answer is written
    expect(chat.page.get_by_role("button", name="Edit the question")).to_have_count(0)
    chat.box.press("ArrowUp")
    expect(chat.page.locator("[data-edit-form]")).to_have_count(0)
    stop_answer(chat)
    stopped = chat.read()
    other = chat.another_tab()
    other.page.goto(chat.page.url)
    chat.box.press("ArrowUp")
    field, notice = chat.page.locator("#edit-text"), chat.page.locator("#notices")
    field.fill("  ")
    field.press("Enter")
    expect(notice).to_contain_text("Write a message first.")
    other.answer.hover()
    other.answer.get_by_role("button", name="Answer again").click()
    other.wait_for_words(1)
    field.fill("anew")
    field.press("Enter")
    expect(notice).to_contain_text("An answer is still being written")
    expect(field).to_have_value("anew")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(notice).to_be_empty()
    assert chat.read() == stopped
    stop_answer(other)


def test_nothing_is_edited_while_a_question_is_sent(arrive):
    """What is written into a field that is about to go would be lost."""
    chat = arrive(model="mock-echo", expected=("500", "htmx:"))
    chat.ask("hello")
    chat.wait_for()
    held: list = []
    chat.page.route(re.compile("/(messages|edit)/$"), lambda route: held.append(route))
    chat.box.fill("one more")
    with chat.page.expect_request("**/messages/"):
        chat.box.press("Enter")
    chat.box.press("ArrowUp")
    field = chat.page.locator("#edit-text")
    expect(field).to_have_count(0)
    held.pop().fulfill(status=500, body="")
    expect(chat.box).to_have_value("one more")

    chat.box.fill("")
    chat.box.press("ArrowUp")
    field.fill("anew")
    with chat.page.expect_request("**/edit/"):
        field.press("Enter")
    expect(field).not_to_be_editable()
    held.pop().fulfill(status=500, body="")
    expect(field).to_be_editable()
    expect(field).to_have_value("anew")


def test_a_touch_keyboard_makes_lines_and_a_finger_edits_too(arrive):
    chat = arrive(model="mock-echo", has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    chat.box.fill("zero")
    chat.box.press("End")
    chat.box.press("Enter")
    chat.box.press_sequentially("one")
    expect(chat.box).to_have_value("zero\none")
    chat.page.get_by_role("button", name="Send").tap()
    chat.wait_for()
    assert chat.read() == "zero one"
    chat.page.get_by_role("button", name="Edit the question").tap()
    field = chat.page.locator("#edit-text")
    field.press("End")
    field.press("Enter")
    field.press_sequentially("two")
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= 360
    chat.page.get_by_role("button", name="Ask again").tap()
    chat.wait_for()
    expect(chat.text).to_have_text(re.compile(r"zero\s+one\s+two"))
    expect(chat.answer).to_be_focused()


def test_an_answer_at_its_greatest_length_goes_on(arrive):
    chat = arrive(model="short-answers")
    chat.ask("hello")
    chat.wait_for()
    chat.page.locator("#composer-model").select_option("mock")
    chat.answer.get_by_role("button", name="Continue").click()
    expect(chat.text).to_have_text(said(3) + said(3))
    expect(chat.answer.get_by_role("button", name="Continue")).to_be_visible()


def test_a_session_that_ends_leads_to_the_log_in_page(arrive):
    chat = arrive(path=None, expected=("401", "ERR_FAILED"))
    conversation = make_conversation(chat.person, "Left open")
    make_unfinished(conversation, make_process())
    chat.page.route("**/events/**", lambda route: route.abort())
    chat.go(f"/c/{conversation.pk}/")
    chat.context.clear_cookies()
    expect(chat.page).to_have_url(
        re.compile(rf"/accounts/login/\?next=(%2F|/)c(%2F|/){conversation.pk}(%2F|/)$")
    )


def test_what_the_budget_allows_is_known_after_each_answer(arrive):
    chat = arrive(model="chat-10-s")
    chat.ask("hello")
    chat.wait_for_words(5)
    expect(chat.page.locator("#budget-banner")).to_be_empty()
    set_budget(actor=None, level="user", subject_id=chat.person.pk, limit=Decimal("0.0000001"))
    stop_answer(chat)
    expect(chat.page.locator("#budget-banner")).to_contain_text("is used up")
    expect(chat.page.locator("#composer-send")).to_be_enabled()  # there are models that cost nothing
