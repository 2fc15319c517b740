"""Reading: letters, other scripts, long lines, formulas and diagrams, as people see them."""

import re

import pytest
from playwright.sync_api import expect

from prompts.models import Message
from tests.e2e.browser import Chat
from tests.prompts.chats import make_conversation

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
        Message.objects.filter(pk=message.pk).update(text=text)
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
