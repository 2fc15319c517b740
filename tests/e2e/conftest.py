"""A browser for the whole package, and for each journey a context of its own, whose watch must have
nothing to complain of at the end.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browser import PATIENCE_MS, Chat, Watch, find_browser, launch, log_in
from tests.live import TENANTS
from tests.prompts.conftest import chat_models
from tests.prompts.visitor import make_person

__all__ = ["chat_models"]
SLUG = TENANTS[0]


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
def browser(house, chat_models) -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def arrive(house, browser) -> Iterator[Callable[..., Chat]]:
    """arrive(role=…, model=…, user=…, port=…, host=…, expected=…, **context options): a person at the chat's
    pages, logged in.

    `user=None` makes a new person; `is_known=False` stays in front of the log-in page.
    """
    contexts = []

    def come(
        *,
        role: str = "user",
        model: str = "mock",
        user=None,
        is_known: bool = True,
        port: int = 0,
        host: str = f"{SLUG}.localhost",
        expected: tuple[str, ...] = (),
        path: str | None = "/",
        **options,
    ) -> Chat:
        port = port or house.port
        person = user or (make_person(SLUG, role) if is_known else None)
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "locale": "en-GB"}
            | options
        )
        context.set_default_timeout(PATIENCE_MS)
        watch = Watch(port, [*expected])
        watch.over(context)
        contexts.append((context, watch))
        if is_known:
            log_in(context, SLUG, person, port, model)
        chat = Chat(context, f"http://{host}:{port}", watch, person)
        if path is not None:
            chat.go(path)
        return chat

    yield come
    for context, watch in contexts:
        watch.look_into(context)
        context.close()
    assert [complaint for _context, watch in contexts for complaint in watch.complaints] == []
