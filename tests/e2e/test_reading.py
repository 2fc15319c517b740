"""Reading: letters, other scripts, long lines, formulas and diagrams, as people see them."""

import re

import pytest
from playwright.sync_api import expect

from prompts.models import Message
from tests.e2e.browser import Chat
from tests.prompts.chats import make_conversation, make_process, make_unfinished, say

LETTER = "Dear Ms Jones,\n\nMain Street 1\n12345 Springfield\n\nKind regards\nMax"
ARABIC = "مرحبا، كيف يمكنني مساعدتك اليوم؟"
PROSE = (
    "The climate of a place is what its weather is like over decades, whereas the weather is what happens "
    "there today, and people who travel tend to ask for the one while they prepare for the other. "
) * 4
COUNT_CHARACTERS = """(paragraph) => {
  const node = paragraph.firstChild, range = document.createRange(), lines = new Map();
  for (let place = 0; place < node.length; place += 1) {
    range.setStart(node, place);
    range.setEnd(node, place + 1);
    const top = Math.round(range.getBoundingClientRect().top);
    lines.set(top, (lines.get(top) ?? 0) + 1);
  }
  return Math.max(...lines.values());
}"""


def show(chat: Chat, answer: str, question: str = "A question") -> None:
    """A conversation that was held before."""
    conversation = make_conversation(chat.person, question[:200])
    for message in conversation.messages.all():
        text = question if message.role == Message.Role.USER else answer
        say(message, text)
    chat.go(f"/c/{conversation.pk}/")


def test_a_letter_keeps_its_lines(arrive):
    chat = arrive(model="mock-echo")
    chat.ask("What I wrote")
    chat.wait_for()
    show(chat, LETTER)
    address = chat.text.locator("p").nth(1)
    expect(address).to_have_text(re.compile(r"Main Street 1\s+12345 Springfield"))
    size, height = address.evaluate("element => [getComputedStyle(element).fontSize, element.offsetHeight]")
    assert size == "17px" and height == pytest.approx(2 * 17 * 1.65, abs=1)


@pytest.mark.parametrize("width", [1440, 390])
def test_a_line_has_at_most_75_characters(arrive, width):
    chat = arrive(viewport={"width": width, "height": 900}, path=None)
    show(chat, PROSE)
    longest = chat.text.locator("p").evaluate(COUNT_CHARACTERS)
    assert longest <= 75 and (width < 800 or longest > 60)


def test_arabic_runs_from_right_to_left_wherever_it_stands(arrive):
    chat = arrive(path=None)
    show(chat, f"{ARABIC}\n\n- {ARABIC}\n\n```\nx = 1\n```\n\nAnd so on.", ARABIC)
    direction = "element => getComputedStyle(element).direction"
    for place in (".bubble", ".prose > p", ".prose > ul", "h1", "#conversation-list span[dir]"):
        assert chat.page.locator(place).first.evaluate(direction) == "rtl", place
    assert chat.text.locator("p").last.evaluate(direction) == "ltr"
    assert chat.text.locator("pre").evaluate(direction) == "ltr"
    chat.box.fill(ARABIC)
    assert chat.box.evaluate(direction) == "rtl"
    chat.box.fill("Hello")
    assert chat.box.evaluate(direction) == "ltr"


def test_task_boxes_have_names(arrive):
    chat = arrive(path=None)
    show(chat, "- [ ] Call Max\n- [x] Write to https://docs.example/")
    expect(chat.page.get_by_role("checkbox", name="Call Max")).to_be_disabled()
    expect(chat.page.get_by_role("checkbox", name="Write to https://docs.example/")).to_be_checked()


PASTED = "\n".join(f"line {number} of what was pasted" for number in range(1, 81))


def test_a_long_question_is_folded_until_somebody_asks(arrive):
    chat = arrive(path=None)
    show(chat, "An answer", PASTED)
    bubble, button = chat.page.locator(".bubble"), chat.page.locator("button[data-unfold]")
    assert bubble.bounding_box()["height"] < 300
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    chat.page.keyboard.press("Enter")
    expect(button).to_have_text("Show less")
    expect(button).to_have_attribute("aria-expanded", "true")
    assert bubble.bounding_box()["height"] > 1_000
    chat.page.keyboard.press("Enter")
    expect(button).to_have_text("Show the whole question")
    assert bubble.bounding_box()["height"] < 300
    expect(bubble).to_contain_text("line 80 of what was pasted")


def test_a_question_that_is_sent_is_folded_too(arrive):
    chat = arrive(model="mock")
    chat.box.fill(PASTED)
    chat.box.press("Enter")
    chat.wait_for()
    assert chat.page.locator(".bubble").bounding_box()["height"] < 300
    chat.ask("short")
    expect(chat.page.locator("button[data-unfold]")).to_have_count(1)


MARKDOWN = "# Title\n\nSome *words*:\n\n- [ ] one\n\n```python\nx = 1\n```\n\n$$x^2$$"


def test_an_answer_is_copied_as_it_was_written(arrive):
    chat = arrive(permissions=["clipboard-read", "clipboard-write"], path=None)
    show(chat, MARKDOWN)
    chat.answer.hover()
    chat.answer.get_by_role("button", name="Copy as Markdown").click()
    expect(chat.page.locator("#announcer")).to_have_text("Copied")
    assert chat.page.evaluate("navigator.clipboard.readText()") == MARKDOWN


def test_on_paper_there_is_the_conversation_alone(arrive):
    chat = arrive(path=None, color_scheme="dark")
    long_line = "x = " + "1 + " * 200
    show(chat, f"[Docs](https://docs.example/page)\n\n```\n{long_line}\n```", PASTED)
    chat.page.emulate_media(media="print", color_scheme="dark")
    chat.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for hidden in ("#rail", ".topbar", ".dock", ".message-foot", "[data-unfold]", ".link-host"):
        expect(chat.page.locator(hidden).first).to_be_hidden()
    expect(chat.page.locator(".print-title")).to_have_text(PASTED[:200].replace("\n", " "))
    assert chat.page.locator(".bubble").bounding_box()["height"] > 1_000, "it is unfolded"
    assert "https://docs.example/page" in chat.text.locator("a").evaluate(
        "link => getComputedStyle(link, '::after').content"
    )
    code = chat.text.locator("pre")
    assert code.evaluate("element => element.scrollWidth <= element.clientWidth"), "code wraps"
    assert chat.page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


# -- diagrams ------------------------------------------------------------------------------------------------

FLOW = "```mermaid\ngraph LR\n  A[Order] --> B{Paid?}\n  B -->|yes| C[Ship]\n  B -->|no| D[Remind]\n```"
EVIL = "https://evil.example/leak"
HOSTILE_DIAGRAMS = [
    'graph LR\n  A["<img src=x onerror=parent.__x=1>"] --> B["<script>parent.__x=1</script>"]',
    f'graph LR\n  A --> B\n  click A "{EVIL}" _self\n  click B call alert()',
    f'graph LR\n  A["<img src={EVIL}>"] --> B["<iframe src={EVIL}></iframe>"]',
    '%%{init: {"securityLevel": "loose", "htmlLabels": true}}%%\ngraph LR\n  A["<svg onload=parent.__x=1>"]',
    f'%%{{init: {{"themeCSS": "@import \'{EVIL}\'; * {{background: url({EVIL})}}"}}}}%%\ngraph LR\n  A --> B',
    f'graph LR\n  A@{{ img: "{EVIL}", label: "x", h: 60 }}',
    f'---\nconfig:\n  fontFamily: "x; background: url({EVIL})"\n---\nsequenceDiagram\n  A->>B: {EVIL}',
]
WITH_PICTURE = 5  # cannot be drawn without it


def block(text: str) -> str:
    return f"```mermaid\n{text}\n```"


def test_a_diagram_is_drawn_and_its_text_is_one_button_away(arrive):
    chat = arrive(path=None)
    show(chat, f"Like this:\n\n{FLOW}\n\nThat was it.")
    frame, code = chat.text.locator("iframe"), chat.text.locator("pre")
    drawn = chat.text.frame_locator("iframe").locator("svg").first
    expect(drawn).to_be_visible()
    expect(drawn).to_contain_text("Paid?")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(frame).to_have_attribute("title", re.compile("^Diagram"))
    expect(code).to_be_hidden()
    toggle = chat.page.get_by_role("button", name="Show code")
    toggle.focus()
    chat.page.keyboard.press("Enter")
    expect(code).to_contain_text("A[Order] --> B{Paid?}")
    expect(frame).to_be_hidden()
    chat.page.get_by_role("button", name="Show diagram").click()
    expect(frame).to_be_visible()
    assert 40 < frame.bounding_box()["height"] < 700


def test_a_diagrams_frame_reaches_nothing(arrive):
    chat = arrive(
        path=None, expected=("policy violated: connect-src", "violates the .*Content Security Policy")
    )
    show(chat, FLOW)
    expect(chat.text.frame_locator("iframe").locator("svg").first).to_be_visible()
    frame = next(frame for frame in chat.page.frames if frame.url.endswith("/c/diagram/"))
    assert frame.evaluate("window.origin") == "null"
    assert frame.evaluate("fetch('/c/').then(() => 'reached', () => 'refused')") == "refused"
    assert frame.evaluate(
        "(() => { try { return parent.document.title; } catch { return 'refused'; } })()"
    ) == ("refused")


def test_what_is_no_diagram_stays_text_and_says_so(arrive):
    chat = arrive(path=None)
    show(chat, block("graph LR\n  A --> --> B ]["))
    expect(chat.text).to_contain_text("This diagram could not be drawn.")
    expect(chat.text.locator("pre")).to_be_visible()
    expect(chat.text.locator("iframe")).to_have_count(0)


@pytest.mark.parametrize("number", range(len(HOSTILE_DIAGRAMS)))
def test_a_hostile_diagram_does_nothing(arrive, number):
    """What it tries to fetch, the frame's policy refuses."""
    refused = ("policy violated: (img|font|style|script)-src", "Loading the", "inline event handler")
    chat = arrive(path=None, expected=(*refused, f"request: {EVIL}"))
    reached = []
    chat.page.on("response", lambda response: reached.append(response.url))
    show(chat, f"{block(HOSTILE_DIAGRAMS[number])}\n\nThe end.")
    if number == WITH_PICTURE:
        expect(chat.text).to_contain_text("This diagram could not be drawn.")
    else:
        expect(chat.text.locator("[data-shows=diagram]")).to_have_count(1)
    for frame in chat.page.frames[1:]:
        assert frame.url.endswith("/c/diagram/") and frame.evaluate("window.__x") is None
        assert frame.locator("a, script:not([src]), iframe, img, foreignObject").count() == 0
    assert chat.page.evaluate("window.__x") is None
    assert not [url for url in reached if "evil.example" in url]


def test_a_diagram_follows_light_and_dark(arrive):
    chat = arrive(path=None)
    show(chat, FLOW)
    label = chat.text.frame_locator("iframe").locator("svg .node text").first
    expect(label).to_be_visible()
    colour = "element => getComputedStyle(element).fill"
    light = label.evaluate(colour)
    chat.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    chat.page.wait_for_timeout(50)
    expect(label).not_to_have_css("fill", light)


def test_a_diagram_that_left_the_page_is_waited_for_no_longer(arrive):
    """Its frame says nothing; the next one that is drawn finds it gone. The watch hears what breaks."""
    chat = arrive(path=None, is_alone=True)
    chat.page.clock.install()
    chat.page.route("**/c/diagram/", lambda route: route.fulfill(body="", content_type="text/html"))
    show(chat, f"{FLOW}\n\n{PROSE * 20}\n\n{FLOW}")
    seen = chat.text.locator(".code-block").last  # a conversation is read from its end
    expect(seen.locator("iframe")).to_have_count(1)
    expect(chat.text.locator("iframe")).to_have_count(1)
    seen.evaluate("block => block.remove()")
    chat.text.locator("pre").scroll_into_view_if_needed()
    expect(chat.text.locator("iframe")).to_have_count(1)
    chat.page.clock.fast_forward(16_000)
    expect(chat.text).to_contain_text("This diagram could not be drawn.")


def test_nothing_of_mermaid_is_loaded_before_a_diagram_is_finished(arrive):
    chat = arrive(path=None, expected=("ERR_FAILED",))
    chat.page.route("**/events/**", lambda route: route.abort())
    loaded = []
    chat.page.on("request", lambda request: loaded.append(request.url))
    conversation = make_conversation(chat.person)
    make_unfinished(conversation, make_process(), text=FLOW)
    chat.go(f"/c/{conversation.pk}/")
    expect(chat.text.locator("pre")).to_contain_text("A[Order]")
    chat.page.wait_for_load_state("networkidle")
    assert not [url for url in loaded if "mermaid" in url or url.endswith("/c/diagram/")]
    show(chat, FLOW)
    expect(chat.text.frame_locator("iframe").locator("svg").first).to_be_visible()
    assert [url for url in loaded if "mermaid" in url]


LONG_WORD = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
HANGS_OVER = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).length"


def test_a_long_word_stays_in_its_cell_on_paper_too(arrive):
    chat = arrive(path=None)
    row = f"| {LONG_WORD} | 1 | {LONG_WORD} | 2 | 3 | 4 | 5 |"
    show(chat, f"| A | B | C | D | E | F | G |\n|---|---|---|---|---|---|---|\n{row}")
    cells = chat.text.locator("td")
    assert cells.evaluate_all(HANGS_OVER) == 0
    chat.page.set_viewport_size({"width": 720, "height": 1000})
    chat.page.emulate_media(media="print")
    assert cells.evaluate_all(HANGS_OVER) == 0
    assert chat.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_on_paper_diagrams_are_light_and_questions_have_a_name(arrive):
    chat = arrive(path=None, color_scheme="dark")
    show(chat, FLOW)
    expect(chat.text.frame_locator("iframe").locator("svg").first).to_be_visible()
    look = "frame => getComputedStyle(frame).filter"
    assert chat.text.locator("iframe").evaluate(look) == "none"
    chat.page.emulate_media(media="print", color_scheme="light")
    assert "invert(1)" in chat.text.locator("iframe").evaluate(look)
    question, answer = chat.page.locator(".message").first, chat.page.locator(".message-head").first
    name = question.get_by_role("heading", name="You")
    assert name.bounding_box()["height"] >= 10
    bubble, head = question.locator(".bubble").bounding_box(), answer.bounding_box()
    assert head["y"] - (bubble["y"] + bubble["height"]) >= 8
