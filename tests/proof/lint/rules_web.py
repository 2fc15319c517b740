"""Rules for templates and scripts: the content security policy and the one sink, kept at the source."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .engine import Check, Rule, Source, add

COMMENT = re.compile(r"\{#.*?#\}|<!--.*?-->|\{%\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}", re.S)
JS_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", re.S)
TAG = re.compile(r"<[a-zA-Z][^<>]*(?:\{\{[^{}]*\}\}[^<>]*|\{%[^{}]*%\}[^<>]*)*>", re.S)
DATA_TYPES = re.compile(r"type\s*=\s*[\"'](?:application/(?:ld\+)?json|importmap)[\"']", re.I)


def blank(pattern: re.Pattern[str], text: str) -> str:
    """The text with every match replaced by spaces, line breaks kept."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def matches(pattern: str, *, comments: re.Pattern[str] = COMMENT, flags: re.RegexFlag = re.I) -> Check:
    """Lines where a pattern matches outside comments."""
    compiled = re.compile(pattern, flags)

    def check(source: Source) -> Iterator[int]:
        text = blank(comments, source.text)
        return (text.count("\n", 0, match.start()) + 1 for match in compiled.finditer(text))

    return check


def in_tags(pattern: str) -> Check:
    """Lines of tags whose attributes match a pattern."""
    compiled = re.compile(pattern, re.I | re.S)

    def check(source: Source) -> Iterator[int]:
        text = blank(COMMENT, source.text)
        for tag in TAG.finditer(text):
            if match := compiled.search(tag[0]):
                yield text.count("\n", 0, tag.start() + match.start()) + 1

    return check


def _inline_script(source: Source) -> Iterator[int]:
    text = blank(COMMENT, source.text)
    for match in re.finditer(r"<script\b[^>]*>", text, re.I):
        if not re.search(r"\bsrc\s*=", match[0], re.I) and not DATA_TYPES.search(match[0]):
            yield text.count("\n", 0, match.start()) + 1


HTML = (".html",)
# django-unfold has a policy of its own
ADMIN = ("templates/admin/*", "templates/unfold/*", "*/templates/admin/*", "*/templates/unfold/*")
add(
    Rule(
        "inline-script",
        "scripts are files: the policy blocks inline ones",
        _inline_script,
        kinds=HTML,
        bad=(
            ("templates/a.html", "<p>\n<script>go()</script>\n"),
            ("prompts/templates/a.html", "<script type='module'>x</script>"),
        ),
        good=(
            (
                "templates/a.html",
                (
                    "<script src='a.js'></script>\n{# <script>x</script> #}<script "
                    'type="application/json">{}</script>'
                ),
            ),
            ("templates/admin/a.html", "<script>x</script>"),
        ),
        allowed=ADMIN,
    )
)
add(
    Rule(
        "inline-style",
        "styles are files: the policy blocks style attributes and elements",
        lambda source: [*in_tags(r"\sstyle\s*=")(source), *matches(r"<style\b")(source)],
        kinds=HTML,
        bad=(
            ("templates/a.html", "<p\n style='color: red'>"),
            ("templates/a.html", "<style>p {}</style>"),
            ("templates/a.html", "<p class='{{ a }}' style='x'>"),
        ),
        good=(
            ("templates/a.html", "<p class='style' data-style='x'>style = 1</p>"),
            ("templates/admin/a.html", "<p style='x'>"),
        ),
        allowed=ADMIN,
    )
)
add(
    Rule(
        "event-attribute",
        "behaviour hangs on data- attributes: no on…=, javascript: or htmx expressions that need eval",
        in_tags(
            r"\s(?:on[a-z]+|hx-on[:\w-]*)\s*=|=\s*[\"']?\s*javascript:"
            r"|\shx-(?:vals|vars|headers)\s*=\s*[\"']?\s*(?:js|javascript):"
            r"|\shx-trigger\s*=\s*[\"'][^\"']*\[[^\]]"
        ),
        kinds=HTML,
        bad=(
            ("templates/a.html", "<button onclick='x()'>"),
            ("templates/a.html", '<a href="javascript:void(0)">'),
            ("templates/a.html", '<a hx-on:click="x()">'),
            ("templates/a.html", "<a hx-vals='js:{a: 1}'>"),
        ),
        good=(("templates/a.html", "<button data-action='x' hx-trigger='click once'>on = 1</button>"),),
        allowed=ADMIN,
    )
)
add(
    Rule(
        "template-safe",
        "templates escape everything",
        matches(r"\|\s*(?:safe|safeseq)\b|\{%\s*autoescape\s+off"),
        kinds=HTML,
        bad=(
            ("templates/a.html", "{{ text|safe }}"),
            ("templates/a.html", "{% autoescape off %}{{ x }}{% endautoescape %}"),
            ("templates/admin/a.html", "{{ x | safe }}"),
        ),
        good=(("templates/a.html", "{{ text|escape }} {{ x|safely }} {# |safe #}"),),
    )
)
add(
    Rule(
        "remote-resource",
        "nothing is loaded from other hosts: it works air-gapped, and nobody is told who reads",
        in_tags(
            r"^<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*"
            r"\ssrc\s*=\s*[\"']?\s*(?:https?:)?//"
            r"|^<link\b[^>]*\shref\s*=\s*[\"']?\s*(?:https?:)?//"
        ),
        kinds=HTML,
        bad=(
            ("templates/a.html", "<script src='https://cdn.example/x.js'></script>"),
            ("templates/a.html", "<link rel='stylesheet' href='//fonts.example/x.css'>"),
        ),
        good=(
            (
                "templates/a.html",
                "<script src=\"{% static 'js/a.js' %}\"></script><a href='https://example.org'>x</a>",
            ),
        ),
    )
)
SINKS = (
    r"\.(?:innerHTML|outerHTML|srcdoc)\s*\+?=(?!=)|document\.write(?:ln)?\s*\("
    r"|\.(?:insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|parseFromString)\s*\("
)
add(
    Rule(
        "html-sink",
        "strings become HTML in the one trusted module only",
        matches(SINKS, comments=JS_COMMENT, flags=re.NOFLAG),
        kinds=(".js",),
        bad=(
            ("static/js/chat.js", "a.innerHTML = text;"),
            ("static/js/chat.js", "a.insertAdjacentHTML('beforeend', t)"),
            ("static/js/chat.js", "x;\ndocument.write(t)"),
            ("static/js/chat.js", "const u = 'http://x'; a.outerHTML += t"),
        ),
        good=(
            ("static/js/trusted.js", "a.innerHTML = text;"),
            ("static/js/chat.js", "// a.innerHTML = x\na.textContent = text; if (a.innerHTML === '') {}"),
        ),
        # the second runs in a frame without our origin, whose policy is its own
        allowed=("static/js/trusted*.js", "static/js/diagram-frame.js"),
    )
)
add(
    Rule(
        "js-eval",
        "no code from strings",
        matches(
            r"(?<![\w.$])eval\s*\(|\bnew\s+Function\s*\(|\bset(?:Timeout|Interval)\s*\(\s*[\"'`]",
            comments=JS_COMMENT,
            flags=re.NOFLAG,
        ),
        kinds=(".js",),
        bad=(
            ("static/js/a.js", "eval(text)"),
            ("static/js/a.js", "new Function(text)"),
            ("static/js/a.js", "setTimeout('go()', 1)"),
        ),
        good=(("static/js/a.js", "setTimeout(() => go(), 1); model.eval(x); evaluate(x)"),),
    )
)
add(
    Rule(
        "browser-store",
        "keys and prompts are not kept in the browser's storage",
        matches(
            r"(?:\b(?:localStorage|sessionStorage|indexedDB)\b|document\.cookie\s*=)[^;\n]*"
            r"(?:token|secret|password|session_?id|api_?key|prompt|message)",
            comments=JS_COMMENT,
        ),
        kinds=(".js",),
        bad=(
            ("static/js/a.js", "localStorage.setItem('api_key', k)"),
            ("static/js/a.js", "document.cookie = `token=${t}`"),
        ),
        good=(("static/js/a.js", "localStorage.setItem('theme', 'dark'); document.cookie = 'rail=open'"),),
    )
)
