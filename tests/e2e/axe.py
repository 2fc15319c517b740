"""axe-core over a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def list_violations(page: Page, within: str | None = None, *, with_contrast: bool = True) -> list[str]:
    """What axe-core finds, of any weight, on the page or in a part of it: rule, and where. Contrast takes
    more than half of its time.
    """
    # the style sheets are not read: that would need an inline style, which the policy forbids
    rules = {"color-contrast": {"enabled": with_contrast}}
    options = {"preload": False, "resultTypes": ["violations"], "rules": rules}
    found = Axe().run(page, within, options).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]
    ]
