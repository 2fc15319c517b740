"""Pictures of the important pages, for the README and for eyes. Not a test.

    python -m tests.e2e.screenshots OUT [--data DIR]

Needs a running platform (`make run`): its data folder has the demo's addresses and log-ins, `demo.json`.
Makes OUT/<page>-<width>-<theme>-<language>.png at 1440, 1024 and 390 pixels, light and dark, in three
languages.
The person's own choices of language and appearance are put back at the end.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.browser import find_browser, launch

WIDTHS = {
    1440: {"viewport": {"width": 1440, "height": 900}},
    1024: {"viewport": {"width": 1024, "height": 768}},
    390: {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "device_scale_factor": 2},
}
THEMES = ("light", "dark")
LANGUAGES = {"en": "What can you do?", "de": "Was kannst du?", "zh-hans": "你能做什么？"}
PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Platform:
    """Where it runs, and who may come in."""

    port: int
    demo: dict

    def address(self, host: str, path: str) -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def alice(self) -> dict[str, str]:
        """Host, e-mail address and password of Acme's owner."""
        acme = self.demo["tenants"]["acme"]
        return {"host": acme["host"], **acme["users"]["alice"]}

    @property
    def olga(self) -> dict[str, str]:
        """Those of the operator."""
        operator = self.demo["platform"]
        return {"host": operator["host"], "email": operator["user"], "password": operator["password"]}


def read_platform(data: Path) -> Platform:
    demo = json.loads((data / "demo.json").read_text())
    return Platform(urlsplit(demo["url"]).port or 80, demo)


def log_in(page: Page, platform: Platform, person: dict[str, str]) -> str:
    """Log in through the door; gives the host."""
    host, email, password = person["host"], person["email"], person["password"]
    page.goto(platform.address(host, "/accounts/login/"))
    page.locator("input[name=login]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("form[action$='/login/'] button").last.click()
    page.wait_for_url(lambda url: "/accounts/login/" not in url)
    return host


def choose(page: Page, platform: Platform, host: str, **choices: str) -> None:
    """Set language or appearance through the profile page."""
    page.goto(platform.address(host, "/profile/"))
    for name, value in choices.items():
        page.locator(f"main select[name={name}]").select_option(value)
    page.locator("main form button").first.click()
    page.wait_for_load_state()


def ask(page: Page, question: str) -> None:
    page.locator("#composer-text").fill(question)
    page.locator("#composer-text").press("Enter")
    page.locator(".message-answer:not([data-events-url])").last.wait_for(timeout=PATIENCE_MS)


def show_chat(page: Page, question: str) -> None:
    ask(page, question)
    page.locator("#announcer").evaluate("(element) => element.replaceChildren()")


PAGES: dict[str, tuple[str, Callable[[Page, str], None] | None]] = {
    "start": ("/", None),
    "chat": ("/", show_chat),
    "palette": ("/", lambda page, _question: page.keyboard.press("Control+k")),
    "usage": ("/usage/", None),
    "keys": ("/keys/", None),
    "profile": ("/profile/", None),
    "password": ("/accounts/password/change/", None),
    "nothing": ("/nothing/", None),
    "styleguide": ("/styleguide/", None),
    "administration": ("/admin/", None),
}


def shoot_tenant(browser: Browser, platform: Platform, out: Path) -> None:
    """Alice's pages, in each language, appearance and width."""
    for width, options in WIDTHS.items():
        context = browser.new_context(reduced_motion="reduce", **options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        host = log_in(page, platform, platform.alice)
        for language, question in LANGUAGES.items():
            for theme in THEMES:
                choose(page, platform, host, language=language, theme=theme)
                for name, (path, prepare) in PAGES.items():
                    page.goto(platform.address(host, path))
                    if prepare:
                        prepare(page, question)
                    save(page, out, name, width, theme, language)
        choose(page, platform, host, language="", theme="system")
        context.close()


def shoot_doors(browser: Browser, platform: Platform, out: Path) -> None:
    """What is seen without logging in, and the operator's start page."""
    for width, options in WIDTHS.items():
        for theme in THEMES:
            context = browser.new_context(color_scheme=theme, **options)
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            for language in LANGUAGES:
                page.set_extra_http_headers({"Accept-Language": language})
                page.goto(platform.address(platform.alice["host"], "/accounts/login/"))
                save(page, out, "login", width, theme, language)
            log_in(page, platform, platform.olga)
            for language in LANGUAGES:
                page.set_extra_http_headers({"Accept-Language": language})
                page.goto(platform.address("localhost", "/admin/"))
                save(page, out, "platform", width, theme, language)
            context.close()


def save(page: Page, out: Path, name: str, width: int, theme: str, language: str) -> None:
    page.evaluate("document.fonts.ready")
    page.screenshot(path=out / f"{name}-{width}-{theme}-{language}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the folder for the pictures")
    parser.add_argument(
        "--data", type=Path, default=Path("var"), help="the running platform's data folder (default: var)"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    platform, path = read_platform(arguments.data), find_browser()
    if path is None:
        raise SystemExit("No Chromium was found: install it, or name it in ATRIUM_BROWSER.")
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        shoot_doors(browser, platform, arguments.out)
        shoot_tenant(browser, platform, arguments.out)
        browser.close()
    print(f"{len(list(arguments.out.glob('*.png')))} pictures in {arguments.out}")


if __name__ == "__main__":
    main()
