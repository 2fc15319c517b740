"""The chat's page in a browser, as production serves it (docs/figures.md): what a first visit loads, when it
shows something, and the longest task of the page's thread while an answer is written into 500 messages.

Tasks are those of Chromium's own record (tracing), from the moment a message is sent until its answer is
there, by the CPU time of the page's thread: on a quiet machine that is how long they hold the page up. Of
several runs the best is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench import atrium
from bench.harness import BenchError
from bench.report import Row
from bench.scene import Scene
from tests.e2e.browser import find_browser, launch

PRODUCTION = {"ATRIUM_ENV": "production", "ATRIUM_TLS": "0"}  # all of it on one machine
MODEL = "mock-tokens-200-5-20"
SLUG, MESSAGES = "bench-1", 500
MOST_KB, MOST_PAINT_MS, MOST_TASK_MS = 150.0, 500.0, 50.0
PATIENCE_MS = 60_000
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FIRST_BYTE = "() => performance.getEntriesByType('navigation')[0].responseStart"


@dataclass(frozen=True)
class Visitor:
    """A person's session at the platform."""

    browser: Browser
    base_url: str
    cookie: dict[str, str]

    @contextmanager
    def arrive(self) -> Iterator[BrowserContext]:
        """A browser that was never here, with the session's cookie."""
        context = self.browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{**self.cookie, "url": self.base_url}])
        yield context
        context.close()


def bench(scene: Scene) -> list[Row]:
    path = find_browser()
    if path is None:
        raise BenchError("no Chromium: name it in ATRIUM_BROWSER")
    with atrium.platform(scene.mock_port, [MODEL], 1, PRODUCTION) as platform:
        task = {"slug": SLUG, "turns": MESSAGES // 2, "model": MODEL}
        made = atrium.run_inside(platform.data, "page_seed", **task)
        base_url = f"http://{SLUG}.localhost:{platform.port}"
        with sync_playwright() as playwright:
            browser = launch(playwright, path)
            visitor = Visitor(browser, base_url, made["cookie"])
            rounds = 2 if scene.quick else 5
            rows = [*_first_visits(visitor, rounds), _stream(visitor, made, rounds)]
            browser.close()
    return rows


def _first_visits(visitor: Visitor, rounds: int) -> list[Row]:
    visits = [_visit(visitor, "/") for _number in range(2 * rounds)]
    bare = min(_visit(visitor, "/healthz/live")["paint_ms"] for _number in range(rounds))
    best = min(visits, key=lambda visit: visit["paint_ms"])
    return [
        Row(
            "first visit of the chat: loaded",
            best["loaded"] / 1000,
            "kB",
            best["unpacked"] / 1000,
            "unpacked",
            MOST_KB,
            f"≤ {MOST_KB:.0f} kB",
            note=f"{best['requests']} requests, with their headers",
        ),
        Row(
            "first visit of the chat: first contentful paint",
            best["paint_ms"],
            "ms",
            bare,
            "a line of text",
            MOST_PAINT_MS,
            f"≤ {MOST_PAINT_MS:.0f} ms",
            note=f"{best['server_ms']:.0f} ms of it until the server's first byte",
        ),
    ]


def _visit(visitor: Visitor, path: str) -> dict[str, Any]:
    """What a visit with an empty cache loads, in bytes as they came over the network, headers included."""
    seen = {"loaded": 0, "unpacked": 0, "requests": 0}

    def note(event: dict, name: str, size: str) -> None:
        seen[name] += event[size]

    with visitor.arrive() as context:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda event: note(event, "loaded", "encodedDataLength"))
        session.on("Network.dataReceived", lambda event: note(event, "unpacked", "dataLength"))
        session.on("Network.requestWillBeSent", lambda event: seen.update(requests=seen["requests"] + 1))
        page.goto(visitor.base_url + path, wait_until="networkidle")
        return {**seen, "paint_ms": page.evaluate(PAINT), "server_ms": page.evaluate(FIRST_BYTE)}


def _stream(visitor: Visitor, made: dict[str, Any], rounds: int) -> Row:
    long, short = (
        min(_longest_task(visitor, made[name], messages) for _number in range(rounds))
        for name, messages in (("long", MESSAGES), ("short", 2))
    )
    return Row(
        f"an answer into {MESSAGES} messages: the page's longest task",
        long,
        "ms",
        short,
        "into 2 messages",
        MOST_TASK_MS,
        f"≤ {MOST_TASK_MS:.0f} ms",
    )


def _longest_task(visitor: Visitor, conversation_id: str, messages: int) -> float:
    """In milliseconds, of one answer."""
    with visitor.arrive() as context:
        page = context.new_page()
        page.goto(f"{visitor.base_url}/c/{conversation_id}/", wait_until="networkidle")
        load_messages(page, messages)
        page.wait_for_timeout(1000)
        visitor.browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
        page.locator("#composer-text").fill("And what about the guarantee?")
        page.locator("#composer-text").press("Enter")
        wait_for_message(page, messages + 2)
        page.locator('.message-answer[data-status="done"]:last-of-type').wait_for()
        page.wait_for_timeout(500)
        return max(tasks_of(visitor.browser.stop_tracing()))


def wait_for_message(page: Page, number: int) -> None:
    page.locator(".message").nth(number - 1).wait_for(state="attached")


def load_messages(page: Page, count: int) -> None:
    """Scroll up until so many messages are there, then to the end again."""
    while page.locator(".message").count() < count:
        before = page.locator(".message").count()
        page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
        wait_for_message(page, before + 1)
    page.evaluate("window.scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'})")


def tasks_of(record: bytes) -> Iterator[float]:
    """How many milliseconds of CPU each task of the pages' threads took."""
    events = json.loads(record)["traceEvents"]
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name"
    }
    for event in events:
        thread = names.get((event["pid"], event["tid"]), "")
        if event["name"] == "RunTask" and thread == "CrRendererMain":
            yield event.get("tdur", 0) / 1000
