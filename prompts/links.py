"""Links in what models write: addresses that stand bare become links, and each link says where it leads.

Covers: links whose text hides their host; pictures from elsewhere (a link instead); addresses of web pages
and mailboxes in running text. Does not cover: names without a scheme (`main.py` looks like one); schemes,
which the allow-list of `rendering` decides.
"""

import re
from html import escape
from urllib.parse import unquote

from django.utils.translation import gettext as _
from linkify_it import LinkifyIt
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_ADDRESS_CHARS = 2_000  # of a bare one: each look goes no further
WIDE_PUNCTUATION = re.compile(
    r"[，。、；：！？（）【】《》「」『』“”‘’…\s]"
)  # ends an address, if no blank does
# linear: one start for each word, and a bounded look from there
MAILBOX = re.compile(r"(?<![\w.+/:@-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}(?![\w@])", re.ASCII)
LETTER = re.compile(r"[a-z0-9]$")  # Chinese has no blank before an address
ADDRESSES = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
ADDRESSES.add("ftp:", None).add("//", None)


def links_plugin(parser: MarkdownIt) -> None:
    """Give a parser the rules of this module. Not markdown-it's own for bare addresses: they read the whole
    paragraph again for each `://`.
    """
    parser.inline.ruler.before("escape", "address", _read_address)
    parser.core.ruler.after("text_join", "mailboxes", _link_mailboxes)
    parser.add_render_rule("image", _render_image)
    parser.add_render_rule("link_close", _render_link_close)


def _read_address(state: StateInline, silent: bool) -> bool:
    """`https://…` at its colon; what stands before that is still to be written out."""
    if state.linkLevel or state.src[state.pos : state.pos + 3] != "://":
        return False
    before = state.src[max(0, state.pos - 6) : state.pos].lower()
    scheme = next((name for name in ("https", "http") if before.endswith(name)), "")
    if not scheme or LETTER.search(before[: -len(scheme)]) or not state.pending.lower().endswith(scheme):
        return False
    start = state.pos - len(scheme)
    address = _find_address(state.md, state.src[start : min(start + MAX_ADDRESS_CHARS, state.posMax)])
    if not address:
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme)]
        state.push("link_open", "a", 1).attrs = {"href": state.md.normalizeLink(address)}
        state.push("text", "", 0).content = state.md.normalizeLinkText(address)
        state.push("link_close", "a", -1)
    state.pos = start + len(address)
    return True


def _find_address(parser: MarkdownIt, text: str) -> str:
    """The address that the text begins with, or nothing."""
    slashes = text.index("//") + 2
    end = WIDE_PUNCTUATION.search(text, slashes)
    link = ADDRESSES.match_at_start(text[: end.start()] if end else text)
    address = link.url.rstrip("*_~") if link else ""  # the end of an emphasis
    return address if address and parser.validateLink(parser.normalizeLink(address)) else ""


def _link_mailboxes(state: StateCore) -> None:
    for block in state.tokens:
        if block.type == "inline" and block.children and "@" in block.content:
            block.children = _with_mailboxes(block.children)


def _with_mailboxes(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    depth = 0
    for token in tokens:
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text" and not depth and "@" in token.content:
            found += _split_at_mailboxes(token)
        else:
            found.append(token)
    return found


def _split_at_mailboxes(token: Token) -> list[Token]:
    pieces, end = [], 0
    for match in MAILBOX.finditer(token.content):
        link = ADDRESSES.match_at_start(f"mailto:{match[0]}")
        if link is None:
            continue
        mailbox = link.url.removeprefix("mailto:")
        pieces += [
            _text(token.content[end : match.start()]),
            Token("link_open", "a", 1, attrs={"href": f"mailto:{mailbox}"}),
            _text(mailbox),
            Token("link_close", "a", -1),
        ]
        end = match.start() + len(mailbox)
    return [*pieces, _text(token.content[end:])]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _render_image(renderer, tokens: list[Token], index: int, options, env) -> str:
    """A picture from elsewhere would tell its server who reads what: a link that names the host instead."""
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    label = escape(token.content or _("Image"))
    return f'<a href="{escape(source)}">{label}</a>{_host_note(source, "")}'


def _render_link_close(renderer, tokens: list[Token], index: int, options, env) -> str:
    depth, position = 1, index
    while depth and position:
        position -= 1
        depth += {"link_close": 1, "link_open": -1}.get(tokens[position].type, 0)
    shown = "".join(token.content for token in tokens[position + 1 : index])
    return "</a>" + _host_note(str(tokens[position].attrGet("href") or ""), shown)


def _host_note(address: str, shown: str) -> str:
    """The host a link leads to, or the mailbox, unless the link's text already says it."""
    if address.lower().startswith("mailto:"):
        target = unquote(address[len("mailto:") :].partition("?")[0])
        is_said = shown.strip().lower() in (target.lower(), address.lower())
    else:
        target = _host_of(address)
        is_said = _is_address(shown, address)
    return f' <span class="link-host">({escape(target)})</span>' if target and not is_said else ""


def _host_of(address: str) -> str:
    """The host as browsers read it: after a web page's scheme they take any number of slashes, also none."""
    found = re.match(r"(?:https?:[/\\]*|[/\\]{2,})([^/\\?#]*)", address, re.IGNORECASE)
    return re.sub(r":[0-9]*$", "", found[1].rpartition("@")[2]).lower() if found else ""


def _is_address(shown: str, address: str) -> bool:
    """Whether the link's text is the address itself, or its host alone: then it hides nothing. An address
    with a name before its host looks as if it led to that name.
    """
    text, host = shown.strip().lower().rstrip("/"), _host_of(address)
    start, slashes, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    if not slashes or "@" in authority:
        return False
    full = f"{start}://{authority}{slash}"
    said = {f"{full}{path}", f"{full}{unquote(path)}", host, f"http://{host}", f"https://{host}"}
    return text in {one.lower().rstrip("/") for one in said}
