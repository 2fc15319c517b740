"""What is kept of a text for its reader: the ends of its lines, and the direction it is read in."""

import re

import pytest

from prompts.rendering import render_markdown

LETTER = "Dear Ms Jones,\n\nMain Street 1\n12345 Springfield\n\nKind regards\nMax"
HEBREW, ARABIC = "שלום עולם", "مرحبا بالعالم"


def test_the_end_of_a_line_is_kept_in_prose():
    html = render_markdown(LETTER)
    assert "Main Street 1<br>\n12345 Springfield</p>" in html and html.count("<br>") == 2
    assert html.count("<p ") == 3


def test_in_code_a_line_is_a_line():
    html = render_markdown("```\na\nb\n```\n\n    c\n    d\n")
    assert "<br>" not in html and "a\nb\n" in html and "c\nd\n" in html


@pytest.mark.parametrize(
    "text", ["one", "# one", "- one", "1. one", "> one", "| one |\n|-|\n| two |"], ids=ascii
)
def test_what_stands_on_its_own_runs_in_the_direction_of_its_letters(text):
    html = render_markdown(f"{text.replace('one', HEBREW)}\n\n{ARABIC}")
    assert re.match(r'<(p|h1|ul|ol|blockquote|table) dir="auto"', html) and html.count('dir="auto"') == 2


def test_what_a_list_holds_follows_its_list():
    html = render_markdown(f"- {HEBREW}\n\n  more\n- [ ] two\n\n1. {ARABIC}\n   - three")
    assert html.count("dir=") == 2, "else the marks of the list would stand on the other side"


def test_a_task_is_the_label_of_its_box():
    html = render_markdown("- [ ] Call *Max*\n- [x] https://docs.example/")
    assert re.search(r"<label><input [^>]*> Call <em>Max</em></label>", html)
    assert re.search(r"<label><input [^>]*> <a .*</a></label>", html) and html.count("disabled=") == 2
