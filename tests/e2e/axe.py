"""axe-core over a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def list_violations(page: Page, within: str | None = None) -> list[str]:
    """What axe-core finds, of any weight, on the page or in a part of it: rule, and where."""
    # the style sheets are not read: that would need an inline style, which the policy forbids
    found = Axe().run(page, within, {"preload": False, "resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]
