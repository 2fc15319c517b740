"""Both administrations in a browser: looked at by axe-core in both themes, and walked by the keyboard alone.

The pages are those of Django's test client, drawn before; only static files come from the disk. What needs a
server that answers is in tests/e2e. `ATRIUM_PROOF=night` looks at each page in both themes, and at its
contrasts; by day at two pages of five, each in one theme, and at the contrasts of the start page, the lists
and a form of each kind, with the others' colours. What HTML alone tells is seen on each page: test_pages.py.
"""

import mimetypes
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import reverse
from playwright.sync_api import Browser, Page

from accounts.models import User
from tests.admin.test_pages import addresses, make_ugly
from tests.e2e.axe import list_violations
from tests.e2e.conftest import open_browser
from tests.estate import make_estate, make_platform_estate
from tests.permissions import SERVICE, SYSTEM
from tests.routes import PLATFORM, TENANT

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
THEMES = ("light", "dark")
IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
STOPS = 400  # more than any page has for the tab key
AT = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
  const name = at.getAttribute("aria-label") || at.innerText || at.title || at.labels?.[0]?.innerText
    || at.value || at.placeholder || at.querySelector("[title]")?.title;
  const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
    || at.closest(":focus-within[class*='focus-within:outline']");
  return [at.tagName, at.id, name?.trim() ?? "", box.width > 0 && box.height > 0, Boolean(isMarked)];
}"""
Pages = dict[str, tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def draw(client, paths: list[str], language: str = "en") -> Pages:
    found = {}
    for path in paths:
        response = client.get(path, headers={"accept-language": language})
        assert response.status_code == 200, path
        found[path] = (200, dict(response.items()), response.content)
    return found


class _Shelf(BaseHTTPRequestHandler):
    """Drawn pages and static files, which a browser keeps; of everything else nothing."""

    pages: Pages
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if file := path.startswith(settings.STATIC_URL) and finders.find(
            path.removeprefix(settings.STATIC_URL)
        ):
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            headers = {"Content-Type": kind, "Cache-Control": "max-age=600"}
            self._answer(200, headers, Path(file).read_bytes())
        else:
            self._answer(*self.pages.get(path, (204, {}, b"")))

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        pass


@pytest.fixture
def open_pages(browser) -> Iterator[Callable[[Pages], Page]]:
    """Opens a tab in which these pages are there, and nothing else."""
    with ExitStack() as ends:

        def open_tab(pages: Pages) -> Page:
            server = ThreadingHTTPServer(("127.0.0.1", 0), type("Shelf", (_Shelf,), {"pages": pages}))
            thread = Thread(target=server.serve_forever)
            thread.start()
            for end in (server.server_close, thread.join, server.shutdown):
                ends.callback(end)
            context = browser.new_context(
                base_url=f"http://admin.localhost:{server.server_port}",
                viewport={"width": 1440, "height": 900},
                reduced_motion="reduce",
            )
            ends.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: pytest.fail(f"{page.url}: {error}"))
            return page

        yield open_tab


def set_theme(user, theme: str) -> None:
    User.objects.filter(pk=user.pk).update(theme=theme)


def of_theme(paths: list[str], theme: str) -> list[str]:
    """Those to look at. By day two of five, each in one of the themes: lists and forms take turns."""
    paths = [path for path in paths if not path.endswith("/history/")]
    return paths if IS_NIGHT else paths[2 * THEMES.index(theme) :: 5]


def has_its_own_colours(path: str, seen: set[str]) -> bool:
    """No form, or the first one of those that add, or of those that change."""
    kind = path.rstrip("/").rpartition("/")[2]
    if IS_NIGHT or kind not in ("add", "change"):
        return True
    is_first = kind not in seen
    seen.add(kind)
    return is_first


def look_at_all(page: Page, paths: list[str]) -> dict[str, list[str]]:
    """What is found on which page."""
    found: dict[str, list[str]] = {}
    forms: set[str] = set()
    for path in paths:
        page.goto(path)
        page.wait_for_function("!document.documentElement.hasAttribute('x-cloak')")
        if violations := list_violations(page, with_contrast=has_its_own_colours(path, forms)):
            found[path] = violations
    return found


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_found_on_the_service_administration(open_pages, acme, alice, theme):
    estate = make_ugly(make_estate(alice), alice)
    set_theme(alice, theme)
    listed = of_theme(addresses("service", SERVICE, TENANT, estate), theme)
    pages = draw(acme.login_as(alice), [*listed, reverse("service:jsi18n", urlconf=TENANT)])
    assert look_at_all(open_pages(pages), listed) == {}


@pytest.mark.scope("platform")
@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_found_on_the_system_administration(open_pages, on_platform, olga, theme):
    estate = make_platform_estate(olga)
    set_theme(olga, theme)
    listed = of_theme(addresses("system", SYSTEM, PLATFORM, estate), theme)
    pages = draw(on_platform.login_as(olga), [*listed, reverse("system:jsi18n", urlconf=PLATFORM)])
    assert look_at_all(open_pages(pages), listed) == {}


def test_axe_finds_what_is_planted(open_pages, acme, alice):
    path = reverse("service:accounts_project_add", urlconf=TENANT)
    page = open_pages(draw(acme.login_as(alice), [path]))
    page.goto(path)
    page.evaluate("document.querySelector('label[for=id_name]').remove()")
    assert any(found.startswith("label:") for found in list_violations(page))


def walk(page: Page) -> list[tuple[str, str, str, bool, bool]]:
    """The stops of the tab key, until it leaves the page: kind, id, name, whether it is seen, and marked."""
    found: list[tuple[str, str, str, bool, bool]] = []
    for _stop in range(STOPS):
        page.keyboard.press("Tab")
        at = tuple(page.evaluate(AT))
        if at[0] == "BODY":
            return found
        found.append(at)
    raise AssertionError(f"The tab key never leaves {page.url}: {found[-5:]}")


def test_the_keyboard_alone_reaches_everything_and_sees_where_it_is(open_pages, acme, alice):
    estate = make_ugly(make_estate(alice), alice)
    names = ("index", "usage_usageevent_changelist", "accounts_limit_add", "auth_group_add")
    paths = [reverse(f"service:{name}", urlconf=TENANT) for name in names]
    paths.append(reverse("service:models_registry_model_change", args=[estate.model.pk], urlconf=TENANT))
    pages = draw(acme.login_as(alice), [*paths, reverse("service:jsi18n", urlconf=TENANT)])
    page = open_pages(pages)
    for path in paths:
        page.goto(path)
        page.locator(".skip-link").focus()  # a form's first field may have taken the focus
        stops = walk(page)
        assert len(stops) > 20, path
        assert [stop for stop in stops if not all(stop[2:])] == [], path


def test_filters_and_menu_open_by_the_keyboard_and_give_the_focus_back(open_pages, acme, alice):
    make_estate(alice)
    path = reverse("service:usage_usageevent_changelist", urlconf=TENANT)
    pages = draw(acme.login_as(alice), [path, reverse("service:jsi18n", urlconf=TENANT)])
    page = open_pages(pages)
    page.goto(path)
    filters, panel = page.locator("#open-filters"), page.locator("#changelist-filter")
    filters.focus()
    page.keyboard.press("Enter")
    panel.wait_for(state="visible")
    page.wait_for_function("document.activeElement.closest('#changelist-filter') !== null")
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    page.wait_for_function("document.activeElement.id === 'open-filters'")
    menu = page.locator("#main").get_by_role("button", name="Show or hide the menu")
    menu.focus()
    page.keyboard.press("Enter")
    page.locator("#nav-sidebar").wait_for(state="hidden")
    page.keyboard.press("Space")
    page.locator("#nav-sidebar").wait_for(state="visible")
