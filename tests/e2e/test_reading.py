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
    chat = arrive(path=None)
    show(chat, LETTER)
    address = chat.text.locator("p").nth(1)
    expect(address).to_have_text(re.compile(r"Main Street 1\s+12345 Springfield"))
    size, height = address.evaluate("element => [getComputedStyle(element).fontSize, element.offsetHeight]")
    assert size == "17px" and height == pytest.approx(2 * 17 * 1.65, abs=1)


def test_a_line_has_at_most_75_characters(arrive):
    chat = arrive(path=None)
    show(chat, PROSE)
    for width in (1440, 390):
        chat.page.set_viewport_size({"width": width, "height": 900})
        longest = chat.text.locator("p").evaluate(COUNT_CHARACTERS)
        assert longest <= 75 and (width < 800 or longest > 60)


def test_arabic_runs_from_right_to_left_wherever_it_stands_and_boxes_have_names(arrive):
    chat = arrive(path=None)
    tasks = "- [ ] Call Max\n- [x] Write to https://docs.example/"
    show(chat, f"{ARABIC}\n\n- {ARABIC}\n\n```\nx = 1\n```\n\nAnd so on.\n\n{tasks}", ARABIC)
    direction = "element => getComputedStyle(element).direction"
    for place in (".bubble", ".prose > p", ".prose > ul", "h1", "#conversation-list span[dir]"):
        assert chat.page.locator(place).first.evaluate(direction) == "rtl", place
    assert chat.text.locator("p").last.evaluate(direction) == "ltr"
    assert chat.text.locator("pre").evaluate(direction) == "ltr"
    chat.box.fill(ARABIC)
    assert chat.box.evaluate(direction) == "rtl"
    chat.box.fill("Hello")
    assert chat.box.evaluate(direction) == "ltr"
    expect(chat.page.get_by_role("checkbox", name="Call Max")).to_be_disabled()
    expect(chat.page.get_by_role("checkbox", name="Write to https://docs.example/")).to_be_checked()


PASTED = "\n".join(f"line {number} of what was pasted" for number in range(1, 81))


def test_a_long_question_is_folded_until_somebody_asks(arrive):
    """As it is sent, and as it comes with the page."""
    chat = arrive(model="mock")
    chat.box.fill(PASTED)
    chat.box.press("Enter")
    chat.wait_for()
    bubble, button = chat.page.locator(".bubble").first, chat.page.locator("button[data-unfold]")
    assert bubble.bounding_box()["height"] < 300
    chat.ask("short")
    chat.wait_for()
    chat.page.reload()
    expect(button).to_have_count(1)
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


LONG_WORD = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
ROW = f"| {LONG_WORD} | 1 | {LONG_WORD} | 2 | 3 | 4 | 5 |"
TABLE = f"| A | B | C | D | E | F | G |\n|---|---|---|---|---|---|---|\n{ROW}"
HANGS_OVER = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).length"


def test_on_paper_there_is_the_conversation_alone(arrive):
    chat = arrive(path=None, color_scheme="dark")
    long_line = "x = " + "1 + " * 200
    show(chat, f"[Docs](https://docs.example/page)\n\n```\n{long_line}\n```\n\n{TABLE}", PASTED)
    cells = chat.text.locator("td")
    assert cells.count() == 7 and cells.evaluate_all(HANGS_OVER) == 0
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
    chat.page.set_viewport_size({"width": 720, "height": 1000})
    assert cells.evaluate_all(HANGS_OVER) == 0
    assert chat.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


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


REFUSED = ("policy violated: (img|font|style|script|connect)-src", "Loading the", "inline event handler")


def test_a_diagram_is_drawn_reaches_nothing_and_its_text_is_one_button_away(arrive):
    chat = arrive(path=None, expected=(*REFUSED, "violates the .*Content Security Policy"))
    show(chat, f"Like this:\n\n{FLOW}\n\nThat was it.")
    frame, code = chat.text.locator("iframe"), chat.text.locator("pre")
    drawn = chat.text.frame_locator("iframe").locator("svg").first
    expect(drawn).to_be_visible()
    expect(drawn).to_contain_text("Paid?")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(frame).to_have_attribute("title", re.compile("^Diagram"))
    expect(code).to_be_hidden()
    inside = next(frame for frame in chat.page.frames if frame.url.endswith("/c/diagram/"))
    assert inside.evaluate("window.origin") == "null"
    assert inside.evaluate("fetch('/c/').then(() => 'reached', () => 'refused')") == "refused"
    assert inside.evaluate(
        "(() => { try { return parent.document.title; } catch { return 'refused'; } })()"
    ) == ("refused")
    toggle = chat.page.get_by_role("button", name="Show code")
    toggle.focus()
    chat.page.keyboard.press("Enter")
    expect(code).to_contain_text("A[Order] --> B{Paid?}")
    expect(frame).to_be_hidden()
    chat.page.get_by_role("button", name="Show diagram").click()
    expect(frame).to_be_visible()
    assert 40 < frame.bounding_box()["height"] < 700


def test_hostile_diagrams_do_nothing_and_what_is_none_stays_text(arrive):
    """What they try to fetch, the frame's policy refuses."""
    chat = arrive(path=None, expected=(*REFUSED, f"request: {EVIL}"))
    reached = []
    chat.page.on("response", lambda response: reached.append(response.url))
    texts = [*HOSTILE_DIAGRAMS, "graph LR\n  A --> --> B ]["]
    show(chat, "\n\n".join(map(block, texts)))
    blocks = chat.text.locator(".code-block")
    expect(blocks).to_have_count(len(texts))
    for number, one in enumerate(blocks.all()):
        one.scroll_into_view_if_needed()
        if number in (WITH_PICTURE, len(HOSTILE_DIAGRAMS)):
            expect(one).to_contain_text("This diagram could not be drawn.")
            expect(one.locator("pre")).to_be_visible()
            expect(one.locator("iframe")).to_have_count(0)
        else:
            expect(one).to_have_attribute("data-shows", "diagram")
    frames = chat.page.frames[1:]
    assert len(frames) == len(HOSTILE_DIAGRAMS) - 1
    for frame in frames:
        assert frame.url.endswith("/c/diagram/") and frame.evaluate("window.__x") is None
        assert frame.locator("a, script:not([src]), iframe, img, foreignObject").count() == 0
    assert chat.page.evaluate("window.__x") is None
    assert not [url for url in reached if "evil.example" in url]


def test_a_diagram_follows_light_and_dark_and_is_light_on_paper(arrive):
    chat = arrive(path=None)
    show(chat, FLOW)
    label = chat.text.frame_locator("iframe").locator("svg .node text").first
    expect(label).to_be_visible()
    light = label.evaluate("element => getComputedStyle(element).fill")
    chat.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(label).not_to_have_css("fill", light)
    look = "frame => getComputedStyle(frame).filter"
    assert chat.text.locator("iframe").evaluate(look) == "none"
    chat.page.emulate_media(media="print", color_scheme="light")
    assert "invert(1)" in chat.text.locator("iframe").evaluate(look)
    question, answer = chat.page.locator(".message").first, chat.page.locator(".message-head").first
    name = question.get_by_role("heading", name="You")
    assert name.bounding_box()["height"] >= 10
    bubble, head = question.locator(".bubble").bounding_box(), answer.bounding_box()
    assert head["y"] - (bubble["y"] + bubble["height"]) >= 8


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
