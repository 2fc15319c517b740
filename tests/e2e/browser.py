"""A real browser at the living house, and a watch over everything it does.

The watch covers, on every page of a journey: errors in the console, uncaught exceptions, violations
of the content security policy, dialogs of the browser's own, `window.__x` (what hostile payloads
set), and requests to any host but ours.
Does not cover: what the browser itself does outside pages; it is started without background traffic.
"""

import os
import re
import shutil
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Playwright,
    Request,
    expect,
)

PATIENCE_MS = 40_000
# What htmx says of a request that was under way as its page was left, or as a later one took its place; what
# a server fails to answer, the journey sees on the page.
CUT_BY_LEAVING = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")
# The shell first: the same engine without a window's parts takes three fifths of the CPU.
NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE *localhost",
]
LISTEN_FOR_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


def find_browser() -> str | None:
    """Where Chromium is installed: ATRIUM_BROWSER, or one of the usual names."""
    return os.environ.get("ATRIUM_BROWSER") or next(
        (path for name in NAMES if (path := shutil.which(name))), None
    )


def launch(playwright: Playwright, path: str) -> Browser:
    expect.set_options(timeout=PATIENCE_MS)
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


@dataclass
class Watch:
    """What went wrong in one browser context. `expected`: patterns of what
    a journey brings about on purpose.
    """

    port: int
    expected: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.add_init_script(LISTEN_FOR_VIOLATIONS)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complain(f"exception: {error.error}"))
        context.on("dialog", self._dismiss)
        context.on("request", self._check)

    def complain(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self.expected):
            self.complaints.append(text)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.text.startswith(CUT_BY_LEAVING):
            return
        if message.type in ("error", "warning"):
            self.complain(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _dismiss(self, dialog: Dialog) -> None:
        self.complain(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _check(self, request: Request) -> None:
        parts = urlsplit(request.url)
        is_ours = (
            parts.scheme == "http"
            and parts.port == self.port
            and (parts.hostname or "").endswith("localhost")
        )
        if not is_ours and parts.scheme not in ("data", "blob"):
            self.complain(f"foreign request: {request.url}")

    def look_into(self, context: BrowserContext) -> None:
        """The last look, before the context is closed."""
        for page in context.pages:
            if not page.is_closed() and page.evaluate("window.__x") is not None:
                self.complain("a payload was executed")


class Chat:
    """One person's browser: the pages they opened, and how they use the chat. `page` is the tab in front;
    `look`: each tab's viewport and color_scheme, where they are not the context's.
    """

    def __init__(
        self, context: BrowserContext, base_url: str, watch: Watch, person=None, look: dict | None = None
    ) -> None:
        self.context = context
        self.base_url = base_url
        self.watch = watch
        self.person = person
        self.look = look or {}
        self.page = context.new_page()
        if "viewport" in self.look:
            self.page.set_viewport_size(self.look["viewport"])
        if "color_scheme" in self.look:
            self.page.emulate_media(color_scheme=self.look["color_scheme"])

    def go(self, path: str = "/") -> Page:
        self.page.goto(self.base_url + path)
        return self.page

    def another_tab(self) -> "Chat":
        return Chat(self.context, self.base_url, self.watch, self.person, self.look)

    @property
    def box(self) -> Locator:
        return self.page.locator("#composer-text")

    @property
    def answer(self) -> Locator:
        """The last answer."""
        return self.page.locator(".message-answer").last

    @property
    def text(self) -> Locator:
        return self.answer.locator(".prose")

    @property
    def rows(self) -> Locator:
        """The conversations in the rail."""
        return self.page.locator("#conversation-list a[data-conversation]")

    def ask(self, text: str) -> None:
        before = self.page.locator(".message-answer").count()
        self.box.fill(text)
        self.box.press("Enter")
        expect(self.page.locator(".message-answer")).to_have_count(before + 1)

    def wait_for(self, status: str = "done") -> Locator:
        """The last answer, once it has this status."""
        expect(self.answer).to_have_attribute("data-status", status)
        return self.answer

    def wait_for_words(self, count: int) -> None:
        """Until so many of the mock's words are there."""
        expect(self.text).to_contain_text(f"w{count - 1}")

    def read(self) -> str:
        return " ".join(self.text.inner_text().split())


def log_in(context: BrowserContext, slug: str, user, port: int, model_name: str = "") -> None:
    """A session without the log-in page, for journeys that begin behind it. `model_name`: what the person
    chose last.
    """
    # both need Django, which tests.e2e.screenshots does without
    from django.conf import settings

    from tests.prompts.visitor import start_session

    session = start_session(slug, user, model_name)
    cookie = {
        "name": settings.SESSION_COOKIE_NAME,
        "value": session["cookie"],
        "url": f"http://{slug}.localhost:{port}/",
        "httpOnly": True,
        "sameSite": "Lax",
    }
    context.add_cookies([cookie])
