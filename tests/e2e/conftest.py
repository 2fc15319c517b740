"""A browser for the whole package, and for each journey a context of its own, whose watch must have
nothing to complain of at the end.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tenants.context import platform
from tests.e2e.browser import PATIENCE_MS, Chat, Watch, find_browser, launch, log_in
from tests.live import TENANTS
from tests.prompts.conftest import chat_models
from tests.prompts.visitor import make_person

__all__ = ["chat_models"]
SLUG = TENANTS[0]
FAULTS = ("fault-500", "fault-flaky")  # that journeys meet
PLAIN = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "locale": "en-GB"}


def pytest_collection_modifyitems(items):
    for item in items:
        if "/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.scope(SLUG))
            item.add_marker(pytest.mark.timeout(240))


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser. While Playwright runs, its event loop counts as running in this thread, which tests with
    coroutines of their own could not bear.
    """
    path = find_browser()
    if path is None:
        message = (
            "No Chromium was found: install it (Debian: apt install chromium-headless-shell), or name it in "
            "ATRIUM_BROWSER."
        )
        pytest.fail(message) if os.environ.get("ATRIUM_REQUIRE_BROWSER") == "1" else pytest.skip(message)
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # that loop never runs database code
        browser = launch(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def few_models(house, chat_models) -> Iterator[None]:
    """Without the catalogue of faults: three quarters of all models, which each page would list twice."""
    from models_registry.platform.models import Model
    from models_registry.services import set_model

    def enable(names: list[str], *, is_enabled: bool) -> None:
        with platform():
            faults = Model.objects.filter(name__in=names)
            faults.update(is_enabled=is_enabled)
            set_model(actor=None, model=faults[0], is_enabled=is_enabled)  # which tells the processes

    with platform():
        faults = Model.objects.filter(name__startswith="fault-", is_enabled=True).exclude(name__in=FAULTS)
        names = list(faults.values_list("name", flat=True))
    enable(names, is_enabled=False)
    yield
    enable(names, is_enabled=True)


@pytest.fixture(scope="package")
def browser(few_models) -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


# Contexts that journeys with the same options use one after the other, with the watch over each: the browser
# keeps the static files of a page, and nothing else.
_free: WeakKeyDictionary[Browser, dict[str, list[tuple[BrowserContext, Watch]]]] = WeakKeyDictionary()
# what is set on a page, in whichever context
LOOKS = ("viewport", "color_scheme")


def clear(context: BrowserContext, port: int) -> bool:
    """Close its pages and forget what they kept; False where that is not possible."""
    if not context.pages:
        return False
    session = context.new_cdp_session(context.pages[0])
    for host in (f"{SLUG}.localhost", "localhost"):
        kept = {"origin": f"http://{host}:{port}", "storageTypes": "cookies,local_storage,indexeddb"}
        session.send("Storage.clearDataForOrigin", kept)
    context.clear_cookies()
    for page in context.pages:
        page.close()
    return True


@pytest.fixture
def arrive(house, browser) -> Iterator[Callable[..., Chat]]:
    """arrive(role=…, model=…, user=…, port=…, host=…, expected=…, **context options): a person at the chat's
    pages, logged in.

    `user=None` makes a new person; `is_known=False` stays in front of the log-in page;
    `is_alone=True` for what changes the whole context, such as its clock, or needs an empty cache.
    """
    free = _free.setdefault(browser, {})
    contexts: list[tuple[BrowserContext, Watch, str]] = []

    def come(
        *,
        role: str = "user",
        model: str = "mock",
        user=None,
        is_known: bool = True,
        is_alone: bool = False,
        port: int = 0,
        host: str = f"{SLUG}.localhost",
        expected: tuple[str, ...] = (),
        path: str | None = "/",
        **options,
    ) -> Chat:
        port = port or house.port
        person = user or (make_person(SLUG, role) if is_known else None)
        look = {name: options.pop(name) for name in LOOKS if name in options}
        kind = "" if is_alone or port != house.port else f"kept {sorted(options.items())}"
        if free.get(kind):
            context, watch = free[kind].pop()
            watch.expected, watch.complaints = [*expected], []
        else:
            context = browser.new_context(**PLAIN | options)
            context.set_default_timeout(PATIENCE_MS)
            watch = Watch(port, [*expected])
            watch.over(context)
        contexts.append((context, watch, kind))
        if is_known:
            log_in(context, SLUG, person, port, model)
        chat = Chat(context, f"http://{host}:{port}", watch, person, look)
        if path is not None:
            chat.go(path)
        return chat

    yield come
    for context, watch, kind in contexts:
        watch.look_into(context)
        if kind and clear(context, house.port):
            free.setdefault(kind, []).append((context, watch))
        else:
            context.close()
    assert [complaint for _context, watch, _kind in contexts for complaint in watch.complaints] == []
