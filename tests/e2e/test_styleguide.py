"""The style guide in a real browser: looked at in both themes and three widths, by axe-core and by hand.

`ATRIUM_PICTURES` names a folder that keeps the pictures.
"""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import list_violations
from tests.e2e.browser import Chat

THEMES = ("light", "dark")
# each theme and each kind of window once; all of them in `make proof`
LOOKS = [(1440, "light"), (390, "dark")]
if os.environ.get("ATRIUM_PROOF") == "night":
    LOOKS = [(width, theme) for width in (1440, 1024, 390) for theme in THEMES]


@pytest.fixture
def visit_styleguide(arrive):
    def visit(width: int = 1440, theme: str = "light", **options) -> Chat:
        return arrive(
            path="/styleguide/", viewport={"width": width, "height": 900}, color_scheme=theme, **options
        )

    return visit


def keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("ATRIUM_PICTURES")
    picture = page.screenshot(full_page=True, animations="disabled")
    assert len(picture) > 50_000
    if folder:
        (Path(folder) / f"{name}.png").write_bytes(picture)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_component_at_every_width(visit_styleguide, width, theme):
    page = visit_styleguide(width, theme).page
    keep_picture(page, f"styleguide-{width}-{theme}")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels too wide"
    assert list_violations(page) == []
    # and axe finds what is planted
    page.evaluate(
        "document.querySelector('#sample-text').previousElementSibling.previousElementSibling.remove()"
    )
    found = list_violations(page, "main", with_contrast=False)
    assert any(one.startswith("label:") for one in found)


@pytest.mark.parametrize("theme", THEMES)
def test_what_opens_is_free_of_findings_too(visit_styleguide, theme):
    page = visit_styleguide(1440, theme).page
    for name, opened in (
        ("Open the sheet", "#sample-sheet"),
        ("Dialog", "#sample-dialog"),
        ("Menu", "#sample-menu"),
        ("Open the panel", "#panel"),
    ):
        page.get_by_role("main").get_by_role("button", name=name, exact=True).click()
        expect(page.locator(opened)).to_be_visible()
        assert list_violations(page, opened) == [], name
        page.keyboard.press("Escape")
        expect(page.locator(opened)).to_be_hidden()


def use_the_panel(page: Page) -> None:
    """It takes a column and gives it back."""
    stage, panel = page.locator(".stage"), page.locator("#panel")
    before = stage.bounding_box()["width"]
    opener = page.get_by_role("button", name="Open the panel")
    opener.click()
    expect(panel.get_by_role("button", name="Close")).to_be_focused()
    box = panel.bounding_box()
    assert stage.bounding_box()["width"] == pytest.approx(before - box["width"], abs=1)
    assert box["x"] == pytest.approx(stage.bounding_box()["x"] + stage.bounding_box()["width"], abs=1)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(opener).to_be_focused()
    assert stage.bounding_box()["width"] == before


def test_without_scripts_the_panel_lies_above_a_telephones_page_and_choosing_works(visit_styleguide):
    page = visit_styleguide(390, java_script_enabled=False).page
    before = page.locator(".stage").bounding_box()["width"]
    page.get_by_role("button", name="Open the panel").click()
    panel = page.locator("#panel")
    assert panel.bounding_box()["width"] == pytest.approx(390, abs=1)
    assert page.locator(".stage").bounding_box()["width"] == before
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    expect(page.locator("[data-drop-zone] input[type=file]").first).to_be_visible()
    page.locator("[data-multiselect] summary").first.click()
    expect(page.get_by_label("mistral-small").first).to_be_visible()
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**/styleguide/?q=vertrag*")


def test_the_components_answer_to_pointer_and_keyboard(visit_styleguide):
    page = visit_styleguide().page
    use_the_panel(page)
    use_a_tooltip(page)
    choose_several(page)
    choose_files(page)
    page.get_by_label("State", exact=True).select_option("running")  # a filter acts at once
    page.wait_for_url("**/styleguide/?*state=running*")


def use_a_tooltip(page: Page) -> None:
    """It is shown to pointer and keyboard, and goes with Escape."""
    button, tip = page.get_by_role("button", name="Copy", exact=True), page.locator("#tip-copy")
    expect(tip).to_be_hidden()
    button.hover()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.mouse.move(0, 0)
    button.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    expect(tip).to_be_visible()


def choose_several(page: Page) -> None:
    """By keyboard."""
    select = page.locator("[data-multiselect]").first
    summary, chosen = select.locator("summary"), select.locator("[data-chosen] > span")
    expect(chosen).to_have_count(3)
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("mistral")
    expect(select.locator(".choice:visible")).to_have_count(4)  # that one, and the three that are chosen
    page.keyboard.press("Escape")  # empties the field
    expect(select).to_have_attribute("open", "")
    select.get_by_label("mistral-small").check()
    expect(chosen).to_have_count(4)
    page.keyboard.press("Escape")
    expect(select.locator(".multiselect-list")).to_be_hidden()
    expect(summary).to_be_focused()


def choose_files(page: Page) -> None:
    """They are listed."""
    zone = page.locator("[data-drop-zone]").first
    zone.locator("input[type=file]").set_input_files(
        [
            {"name": "Vertrag.pdf", "mimeType": "application/pdf", "buffer": b"x" * 1_572_864},
            {"name": "合同.txt", "mimeType": "text/plain", "buffer": b"x" * 2_048},
        ]
    )
    expect(zone.locator(".file-name")).to_have_text(["Vertrag.pdf", "合同.txt"])
    expect(zone.locator(".file .figure")).to_have_text(["1.5 MB", "2 KB"])
