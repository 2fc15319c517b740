"""The style guide shows every component that there is. How it looks: tests/e2e/test_styleguide.py."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = sorted(path.name for path in (ROOT / "templates" / "components").glob("*.html"))


def test_every_component_is_shown(acme, bob):
    assert acme.login_as(bob).get("/styleguide/").status_code == 200
    pages = [*(ROOT / "templates/styleguide").glob("*.html"), ROOT / "templates/base.html"]
    shown = set(
        re.findall(r'include "components/(_[a-z_]+\.html)"', "".join(path.read_text() for path in pages))
    )
    assert set(COMPONENTS) == shown and len(COMPONENTS) > 12


def test_every_file_of_a_component_is_part_of_the_style(acme):
    style = (ROOT / "static/css/app.css").read_text()
    files = {path.name for path in (ROOT / "static/css/components").glob("*.css")}
    assert files == set(re.findall(r'"components/([a-z_]+\.css)"', style))


def test_pages_and_columns_keep_the_rest_of_the_address(acme, bob):
    html = acme.login_as(bob).get("/styleguide/?page=3&sort=-name&q=x").content.decode()
    pages = html.split('class="pagination"')[1].split("</nav>")[0]
    assert "?page=4&amp;sort=-name&amp;q=x" in pages and "13 to 18 of 240" in pages
    assert pages.count('aria-current="page"') == 1
    heads = html.split("<thead>")[1].split("</thead>")[0]
    assert heads.count("aria-sort") == 1 and 'aria-sort="descending"' in heads
    assert 'href="?sort=name&amp;q=x"' in heads and 'href="?sort=tokens&amp;q=x"' in heads


@pytest.mark.parametrize(
    ("page", "shown"), [("1", "1 to 6 of 240"), ("nonsense", "1 to 6"), ("99", "235 to 240")]
)
def test_a_page_that_is_none_is_the_nearest(acme, bob, page, shown):
    assert shown in acme.login_as(bob).get(f"/styleguide/?page={page}").content.decode()
