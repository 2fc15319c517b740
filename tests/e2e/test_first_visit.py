"""What a browser that was never here loads before the first message, as production serves it: one style file,
everything compressed, few bytes. How fast that is: `python -m bench page`.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.production import house_of_production

MOST_BYTES = 150_000
PACKED_BY_THEMSELVES = ("font/woff2",)


@pytest.fixture
def production(house):
    with house_of_production(house) as house_in_production:
        yield house_in_production


class Visit:
    """What one page loads: the browser's own account of it, headers included."""

    def __init__(self, chat) -> None:
        self.bytes = 0
        self.responses: dict[str, dict] = {}
        session = chat.context.new_cdp_session(chat.page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._note)
        session.on("Network.loadingFinished", self._count)
        self._session = session

    def _note(self, event: dict) -> None:
        self.responses[urlsplit(event["response"]["url"]).path] = event["response"]

    def _count(self, event: dict) -> None:
        self.bytes += event["encodedDataLength"]

    def header(self, path: str, name: str) -> str:
        found = {key.lower(): value for key, value in self.responses[path]["headers"].items()}
        return found.get(name, "")


def test_a_first_visit_loads_few_bytes_compressed_and_to_be_kept(production, arrive):
    """And works: modules, fonts and icons are found under their names of production."""
    chat = arrive(port=production.port, path=None)
    visit = Visit(chat)
    chat.page.goto(chat.base_url + "/", wait_until="networkidle")
    expect(chat.page.locator("#model-button")).to_be_visible()
    assert 20_000 < visit.bytes <= MOST_BYTES
    assert len(visit.responses) > 10, "the modules are among it"
    for path, response in visit.responses.items():
        if response["mimeType"] not in PACKED_BY_THEMSELVES:
            assert visit.header(path, "content-encoding") in ("br", "gzip"), path
        if path.startswith("/static/"):
            assert "immutable" in visit.header(path, "cache-control"), f"{path} is asked for again"
    assert visit.header("/", "cache-control") == "private, no-store"
    styles = [path for path, response in visit.responses.items() if response["mimeType"] == "text/css"]
    assert len(styles) == 1 and styles[0].startswith("/static/css/app.")
    fonts = chat.page.evaluate("[...document.fonts].filter((font) => font.status === 'error').length")
    assert fonts == 0
    radius = chat.page.locator("#model-button").evaluate("element => getComputedStyle(element).borderRadius")
    assert radius != "0px", "the style file is read"
    icon = chat.page.locator(".send use").first.get_attribute("href")
    assert Path(icon.split("#")[0]).suffix == ".svg"
    chat.ask("hello")
    chat.wait_for()
