"""One rule for the spaces between Chinese characters and Latin letters or digits."""

import re

import pytest

from config.messages import catalogue, library_catalogue
from foundation.spacing import CJK, cjk_spaced
from tests.estate import make_estate
from tests.library_texts import read_catalogue

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*(?::\w)?\}")
WRONG = re.compile(rf"[{CJK}][A-Za-z0-9]|[A-Za-z0-9][{CJK}]|[{CJK}] +[{CJK}]")
NUMBER = re.compile(rf"[{CJK}]%\(\w+\)d|%\(\w+\)d[{CJK}]")


@pytest.mark.parametrize("path", [catalogue("zh_Hans"), library_catalogue("zh_Hans")])
def test_no_text_of_the_catalogues_breaks_it(path):
    texts = [text for entry in read_catalogue(path) for text in (entry.msgstr, *entry.msgstr_plural.values())]
    assert [text for text in texts if WRONG.search(PLACEHOLDER.sub("\0", text)) or NUMBER.search(text)] == []


@pytest.mark.parametrize(
    ("text", "set_right"),
    [
        ("添加 预算", "添加预算"),
        ("按API 密钥", "按 API 密钥"),
        ("添加 API 密钥", "添加 API 密钥"),
        (" By key ", "By key"),
    ],
)
def test_what_is_put_together_is_set_by_it(text, set_right):
    assert cjk_spaced(text) == set_right


@pytest.mark.django_db
def test_the_administration_names_its_buttons_and_headings_by_it(acme, alice):
    make_estate(alice)
    alice.language = "zh-hans"
    alice.save()
    acme.login_as(alice)
    page = acme.get("/admin/usage/budget/").content.decode()
    assert "添加预算" in page and "添加 预算" not in page
    for path in ("apikey/", "apikey/add/", "grant/"):
        page = acme.get(f"/admin/accounts/{path}").content.decode()
        assert not re.search(rf"[{CJK}]API|[0-9]秒", re.sub(r"<[^>]+>", "", page)), path
