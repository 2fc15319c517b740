"""Formulas: found in Markdown, set as MathML on the server, and within bounds whatever they say."""

import re

import nh3
import pytest

from prompts import mathml
from prompts.mathml import MATH, MAX_DEPTH, MAX_TEX_CHARS, make_mathml
from prompts.render_budget import MAX_TYPESET, RenderBudget
from prompts.rendering import GrowingText, _render, render_markdown


def text_of(html: str) -> str:
    """What is read, without the elements; blanks do not count."""
    return re.sub(r"\s+", "", re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize(
    ("text", "is_block", "read"),
    [
        (r"\(a_1 * b_2 * c\)", False, "a1*b2*c"),
        ("$a*b*c$ and $x_1$.", False, "a*b*candx1."),
        ("so\n$$\na\n= b\n- c\n$$", True, "soa=b−c"),
        (r"\[\frac{1}{2} < \sqrt{3}\]", True, "12&lt;3"),
        (r"$\mathbb{R} \to \mathcal{L}, \mathbf{v}, \alpha$", False, "ℝ→ℒ,𝐯,α"),
        (r"$$\begin{aligned} a &= b \\ c &= d \end{aligned}$$", True, "a=bc=d"),
        (r"$$f(x) = \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{else} \end{cases}$$", True, None),
        (r"$$\sum_{i=1}^{n} i = \int_0^\infty e^{-x}\,dx$$", True, None),
        (r"\[1 < 2 \\ 3 = 3\]", True, "1&lt;23=3"),
        (r"$$\begin{equation}\begin{split} a &= b \\ &= c \end{split}\end{equation}$$", True, "a=b=c"),
        (r"$$\begin{eqnarray} a &=& b \end{eqnarray}$$", True, "a=b"),
        (r"$$\begin{matrix} a & b & \end{matrix}$$", True, "ab"),
        (r"$$\lim_{x \to 0} f(x) = \boxed{42}$$", True, "limx→0f(x)=42"),
        ("设$a$为实数，当$x>0$时，函数$f(x)=x^2$的导数", False, "设a为实数，当x&gt;0时，函数f(x)=x2的导数"),
        ("ถ้า$x$เป็น, 함수$f$는, 値段は$5、数$y$です", False, "ถ้าxเป็น,함수f는,値段は$5、数yです"),
        ("\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", True, "a=bc=d"),
        ("Thus\n  \\begin{gather*} a \\\\ b \\end{gather*}\nso", True, "Thusabso"),
        (r"so \begin{align} a &= b \\ c &= d \end{align}. Then", False, "soa=bc=d.Then"),
        ("> \\begin{align*}\n> a &= \\begin{cases} b \\\\ c \\end{cases}\n> \\end{align*}", True, None),
        (r"$$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$$", True, "(1234)"),
    ],
)
def test_formulas_are_set(text, is_block, read):
    html = render_markdown(text)
    assert "<math" in html and "<code" not in html and "\\" not in html
    assert ('display="block"' in html) is is_block
    assert read is None or text_of(html) == read


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "It costs $5 and $10, or US$5 to US$10*.",
            '<p dir="auto">It costs $5 and $10, or US$5 to US$10*.</p>',
        ),
        ("从$5涨到$10，花了 $5 元和$x", '<p dir="auto">从$5涨到$10，花了 $5 元和$x</p>'),
        ("从$5和10$的", '<p dir="auto">从$5和10$的</p>'),
        (
            "\\begin{align}\na = \\unheardof<b> \\\\\n\\end{align}",
            '<p><code class="math math-block">'
            "\\begin{align}\na = \\unheardof&lt;b&gt; \\\\\n\\end{align}</code></p>",
        ),
        (r"\$a*b*c\$", '<p dir="auto">$a<em>b</em>c$</p>'),
        ("`$a$`", '<p dir="auto"><code>$a$</code></p>'),
        ("$$open\n\nend", '<p dir="auto">$$open</p>\n<p dir="auto">end</p>'),
        (r"$\unheardof<b>$", r'<p dir="auto"><code class="math">\unheardof&lt;b&gt;</code></p>'),
        (r"$\cancel{x}$", r'<p dir="auto"><code class="math">\cancel{x}</code></p>'),
        (
            r"$\begin{tikzcd} a \end{tikzcd}$",
            r'<p dir="auto"><code class="math">\begin{tikzcd} a \end{tikzcd}</code></p>',
        ),
        ("$$\\frac{1}{\n$$", '<p><code class="math math-block">\\frac{1}{</code></p>'),
    ],
)
def test_what_is_no_formula_or_not_understood_stays_as_it_was_written(text, html):
    assert render_markdown(text).strip() == html


def test_a_block_has_as_many_lines_as_it_likes():
    lines = "a\n" * 2_000
    assert render_markdown(f"$$\n{lines}$$").count('<code class="math math-block">') == 1


def test_while_a_text_grows_the_formula_at_its_end_is_text():
    """As it was written: no star in it becomes an emphasis that is taken back."""
    growing, whole = GrowingText(), "So\n\n\\[\na_1 * b_2 * c_3\n\\]\n\nand \\(x * y * z\\) too."
    for end in range(1, len(whole) + 1):
        tail = growing.grow(whole[end - 1])[1]
        assert "<em>" not in tail
        if "a_1" in whole[:end] and r"\]" not in whole[:end]:
            assert 'class="math math-block"' in tail
    assert "<math" in tail and "<code" not in tail
    assert "<code" not in render_markdown(whole)


def test_money_in_a_growing_text_is_no_formula():
    assert GrowingText().grow("It costs $$ and *more*")[1].strip() == (
        '<p dir="auto">It costs $$ and <em>more</em></p>'
    )


# -- hostile ones --------------------------------------------------------------------------------------------

HOSTILE = [
    r"\href{javascript:window.__x=1}{click}",
    r"\text{<img src=x onerror=window.__x=1>}",
    r"\text{</mtext></math><script>window.__x=1</script>}",
    r"\text{&lt;script&gt;window.__x=1&lt;/script&gt;}",
    r"\text{&#x3c;img src=x onerror=window.__x=1&#x3e;}",
    r"\style{background:url(https://evil.example)}{x}",
    r"\color{red;background:url(https://evil.example)}{x}",
    r"\hspace{-99em} over the text",
    r"\rule{99em}{99em}",
    r"\genfrac{(}{)}{99em}{0}{a}{b}",
    r"\mathord{<annotation-xml encoding=text/html><script>window.__x=1</script></annotation-xml>}",
    r"<maction actiontype=statusline xlink:href=javascript:window.__x=1>x</maction>",
    r"\begin{array}{c\"onload=window.__x=1 x=\"}a\end{array}",
    r"\class{message}{x} \id{announcer}{x} \cssId{body}{x} \data{stop}{x}",
    r"\unicode{x3c} \char60 script",
    "\\operatorname{<svg onload=window.__x=1>}",
]


@pytest.mark.parametrize("tex", HOSTILE)
def test_a_hostile_formula_is_text_at_most(tex):
    made = make_mathml(tex, is_block=True) or ""
    for html in (made, render_markdown(f"$${tex}$$"), render_markdown(f"a ${tex}$ b")):
        tags = re.findall(r"<\/?([a-zA-Z][\w-]*)", html)
        assert set(tags) <= MATH.keys() | {"p", "code"}
        names = re.findall(r'\s([\w:-]+)="', " ".join(re.findall(r"<[a-zA-Z][^>]*>", html)))
        assert set(names) <= set().union(*MATH.values()) | {"dir"}
        lengths = re.findall(r'="-?(\d+)[a-z.%]', html)
        assert all(int(length) < 50 for length in lengths), html
        assert "style" not in names and "href" not in names


def test_planted_bug_as_the_library_writes_it_the_test_above_fails(monkeypatch):
    from latex2mathml.converter import convert

    monkeypatch.setattr(f"{__name__}.make_mathml", lambda tex, is_block: convert(tex))
    with pytest.raises(AssertionError):
        for tex in HOSTILE[:3]:
            test_a_hostile_formula_is_text_at_most(tex)


def test_what_cleans_the_page_leaves_formulas_as_they_are():
    for tex in (
        r"\frac{a}{b}",
        r"\sum_{i=1}^n x_i",
        r"\begin{cases} 1 & 2 \\ 3 & 4 \end{cases}",
        r"\left( x \right)",
    ):
        made = make_mathml(tex, is_block=True)
        assert nh3.clean(made, tags=set(MATH), attributes=MATH) == made


def test_definitions_are_not_carried_out():
    bomb = r"\newcommand{\a}{xxxxxxxxxx}\newcommand{\b}{\a\a\a\a}\b\b\b"
    for tex in (bomb, r"\def\a{\a\a}\a", r"\let\a\b \a", r"\renewcommand{\a}{b}\a"):
        assert make_mathml(tex, is_block=False) is None


def test_formulas_too_deep_or_too_long_are_left():
    assert make_mathml("x" * MAX_TEX_CHARS, is_block=False)
    assert make_mathml("x" * (MAX_TEX_CHARS + 1), is_block=False) is None
    for opening, closing in (
        ("{", "}"),
        (r"\frac{1}{", "}"),
        (r"\sqrt{", "}"),
        (r"\left(", r"\right)"),
        ("x^{", "}"),
    ):
        assert make_mathml(opening * 10 + "x" + closing * 10, is_block=False), opening
        assert (
            make_mathml(opening * (MAX_DEPTH + 1) + "x" + closing * (MAX_DEPTH + 1), is_block=False) is None
        )


def test_formulas_of_one_message_share_a_budget():
    piece = "$" + "x+" * 400 + "y$\n\n"
    html = _render(piece.replace("y", "y1") + piece * 40, RenderBudget(clock=lambda: 0.0))
    assert html.count("<math") == MAX_TYPESET // len("x+" * 400 + "y1")
    assert html.count('<code class="math">') == 41 - html.count("<math")
    ticks = iter(range(1_000_000))
    slow = RenderBudget(clock=lambda: next(ticks))
    html = _render("$x$ $y$ $x$", slow)
    assert html.count("<math") == 2 and "<code" in html, "the time is used up; what is set is set"


def test_a_formula_is_set_once_while_a_text_grows(monkeypatch):
    made = []

    def note(tex: str, *, is_block: bool) -> str | None:
        made.append(tex)
        return make_mathml(tex, is_block=is_block)

    monkeypatch.setattr("prompts.render_budget.make_mathml", note)
    growing = GrowingText()
    growing.grow("$x^2$ is what ")
    for _time in range(20):
        growing.grow("we see ")
    assert made == ["x^2"]


def test_letters_of_other_alphabets_are_letters():
    """Browsers know no other mathvariant than normal any more."""
    alphabets = {"mathbb": "ℂℕℝ", "mathcal": "ℬ", "mathfrak": "ℭ"}
    for command, letters in alphabets.items():
        plain = {"ℂ": "C", "ℕ": "N", "ℝ": "R", "ℬ": "B", "ℭ": "C"}
        html = make_mathml(rf"\{command}{{{''.join(plain[letter] for letter in letters)}}}", is_block=False)
        assert text_of(html) == letters and "double-struck" not in html
    assert mathml.MATH["mi"] == {"mathvariant"}


RULE = "| - | - |\n"
HEAD = f"| a | b |\n{RULE}"


def cells_of(html: str) -> list[str]:
    return [text_of(cell) for cell in re.findall(r"<t[dh]>(.*?)</t[dh]>", html, re.DOTALL)]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| $|x|$ | 1 |", ["|x|", "1"]),
        (r"| \(P(A|B)\) | $$\{x | x>0\}$$ |", ["P(A|B)", "{x|x&gt;0}"]),
        ("$|x|$ | $|y|", ["|x|", "$"]),
        (r"| $\|x\|$ | 1 |", ["|x|", "1"]),
        ("| $a | $b |", ["$a", "$b"]),
        ("| $5 | $6 | 7", ["$5", "$6"]),
        ("| `$x|` | $y$ |", ["`$x", "`"]),
        (r"| \$x | y\$ | z |", ["$x", "y$"]),
        ("| $|x|$ |", ["|x|", ""]),
        ("| $|x | y$ |", ["|x|y", ""]),
        ("| x$ | $y |", ["x$", "$y"]),
    ],
)
def test_a_bar_in_a_formula_ends_no_cell_where_the_row_would_have_too_many(row, cells):
    html = render_markdown(HEAD + row)
    assert cells_of(html)[2:] == cells
    assert "\0" not in html and "\ufffd" not in html


def test_so_it_is_in_the_head_and_while_the_table_is_written():
    text = f"So:\n| $|x|$ | b |\n{RULE}| $|y|$ | 2 |\n"
    assert cells_of(render_markdown(text)) == ["|x|", "b", "|y|", "2"]
    growing = GrowingText()
    html = "".join(growing.grow(text)) + "".join(growing.grow("\nEnd.\n"))
    assert cells_of(html)[-4:] == ["|x|", "b", "|y|", "2"]
