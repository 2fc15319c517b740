"""One rule for the spaces between Chinese characters and Latin letters or digits."""

import re

import pytest
from django.utils import translation

from config.messages import catalogue, library_catalogue
from foundation import told
from foundation.spacing import CJK, Spaced, cjk_spaced, fill, listed
from tests.estate import make_estate
from tests.library_texts import read_catalogue

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*(?::\w)?\}")
WRONG = re.compile(rf"[{CJK}][A-Za-z0-9]|[A-Za-z0-9][{CJK}]|[{CJK}] +[{CJK}]")
NAMED = re.compile(r"%\((\w+)\)([sd])")
BESIDE = re.compile(rf"[{CJK}] *%\(|%\(\w+\)[sd] *[{CJK}]")
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


def list_filled() -> list[tuple[str, str, str]]:
    """(msgid, value, text) of each Chinese text with a placeholder beside Chinese, as code puts it together:
    with a Latin and with a Chinese name in every place.
    """
    found = []
    for entry in read_catalogue(catalogue("zh_Hans")):
        texts = [entry.msgstr] if entry.msgstr else list(entry.msgstr_plural.values())
        if not any(BESIDE.search(text) for text in texts):
            continue
        names = {name: kind for text in texts for name, kind in NAMED.findall(text)}
        for value in ("GPT-4o", "预算"):
            values = {name: 3 if kind == "d" else value for name, kind in names.items()}
            if entry.msgid_plural:
                said = translation.ngettext(entry.msgid, entry.msgid_plural, 3)
            elif entry.msgctxt:
                said = translation.pgettext(entry.msgctxt, entry.msgid)
            else:
                said = translation.gettext(entry.msgid)
            found.append((entry.msgid, value, said % values))
    return found


def test_every_text_that_code_fills_is_set_by_it():
    with translation.override("zh-hans"):
        filled = list_filled()
    assert len(filled) > 200
    assert [(msgid, text) for msgid, _value, text in filled if WRONG.search(text)] == []


def test_planted_bug_texts_that_do_not_know_the_rule_are_found_out(monkeypatch):
    monkeypatch.setattr(Spaced, "__mod__", str.__mod__)
    with translation.override("zh-hans"):
        assert any(WRONG.search(text) for _msgid, _value, text in list_filled())


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("删除%(name)s？", {"name": "GPT 4"}, "删除 GPT 4？"),
        ("删除 %(name)s？", {"name": "预算 A"}, "删除预算 A？"),
        ("从%s到%s的价格", ("A", "乙"), "从 A 到乙的价格"),
        ("删除<b>%(name)s</b>吗", {"name": "x"}, "删除 <b>x</b> 吗"),
        ("删除%(name)s吗", {"name": "<i>x</i>"}, "删除 <i>x</i> 吗"),
        ("“%(name)s”的模型", {"name": "x"}, "“x”的模型"),
        ("已用%(percent)d%%的预算", {"percent": 5}, "已用 5%的预算"),
        ("删除%(name)s", {"name": ""}, "删除"),
        ("%(name)s: deleted", {"name": "预算"}, "预算: deleted"),
    ],
)
def test_values_are_set_by_it_and_stay_as_they_are(text, values, wanted):
    assert fill(text, values) == wanted


def test_kept_and_lazy_texts_and_templates_know_it_too():
    source = (
        "{% load i18n %}{% blocktranslate trimmed with name=row %}Delete collection {{ name }}?"
        "{% endblocktranslate %}"
    )
    with translation.override("zh-hans"):
        for name, wanted in (("API", "添加 API"), ("预算", "添加预算")):
            assert translation.gettext_lazy("Add %s") % name == wanted
            assert told.gettext("Add %s") % name == wanted
        assert "{% blocktranslate" in source


def test_what_stands_beside_each_other_is_separated_as_the_language_does_it():
    for language, wanted in (("de", "1, 2"), ("zh-hans", "1、2"), ("en", "1, 2")):
        with translation.override(language):
            assert listed(iter((1, 2))) == wanted


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
