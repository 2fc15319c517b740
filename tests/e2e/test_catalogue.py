"""The catalogue in a real browser: its filters with and without scripts, at every width."""

import re

import pytest
from playwright.sync_api import expect

from accounts.models import User
from tenants.context import tenant
from tests.e2e.axe import list_violations
from tests.e2e.conftest import SLUG
from tests.prompts.visitor import make_person


def test_all_of_the_filters_stand_in_one_row_and_work_without_scripts(arrive):
    page = arrive(path="/models/", viewport={"width": 1440, "height": 900}, java_script_enabled=False).page
    button = page.get_by_role("main").get_by_role("button", name="Show", exact=True)
    middles = {
        round(box["y"] + box["height"] / 2)
        for control in page.locator(".filter-fields > :visible").all()
        if (box := control.bounding_box())
    }
    assert max(middles) - min(middles) <= 2, "one row, the button in it"
    page.get_by_label("Kind", exact=True).select_option("chat")
    button.click()
    page.wait_for_url("**/models/?*kind=chat*")
    chip = page.get_by_role("link", name="Kind: Chat")
    expect(chip).to_be_visible()
    chip.click()
    expect(page.locator(".filter-applied li")).to_have_count(0)


def test_a_choice_acts_at_once_and_leaves_a_short_address(arrive):
    page = arrive(path="/models/?sort=-price").page
    page.get_by_label("Kind", exact=True).select_option("chat")
    page.wait_for_url("**/models/?sort=-price&kind=chat")
    expect(page.get_by_role("columnheader", name="Price")).to_have_attribute("aria-sort", "descending")


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (390, "light")])
def test_its_pages_fit_and_are_free_of_findings(arrive, width, theme):
    page = arrive(path="/models/", viewport={"width": width, "height": 900}, color_scheme=theme).page
    for _page in ("list", "model"):
        expect(page.locator("h1")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert list_violations(page) == []
        if _page == "list" and width == 390:
            page.locator("main thead").get_by_role("link", name="Price").click()
            page.wait_for_url("**/models/?sort=price")  # cards can be sorted
        if _page == "list":
            page.locator("main tbody th a").first.click()
            page.wait_for_url("**/models/*-*/")


def test_beside_the_open_rail_only_what_was_measured_gives_way(arrive):
    person = make_person(SLUG)
    chat = arrive(user=person, path=None, viewport={"width": 1024, "height": 768})
    for language in ("en", "de", "zh-hans"):
        with tenant(SLUG):
            User.objects.filter(pk=person.pk).update(language=language)
        page = chat.go("/models/")
        expect(page.locator("html")).to_have_attribute("lang", re.compile(language, re.IGNORECASE))
        heads = page.locator("main thead th")
        is_shown = [head.is_visible() for head in heads.all()]
        assert len(is_shown) == 7 and is_shown.count(False) == 2 and is_shown[:5] == [True] * 5, is_shown
        frame = page.locator("main .table-frame")
        assert frame.evaluate("box => box.scrollWidth - box.clientWidth") <= 0
