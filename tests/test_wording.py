"""Words that readers stumbled over stay out of our catalogues (of libraries: test_library_texts.py; on
pages: test_words_on_pages.py).
"""

import re

import pytest

from config.messages import LANGUAGES, catalogue
from tests.library_texts import read_catalogue
from tests.page_words import TITLE_CASE, list_banned

# what people say to a model, as friends do
SAID_TO_A_MODEL = ("What can you do?",)
SAME_IN_GERMAN = {
    ", ",
    "%(counter)s %(noun)s",
    "%(label)s: %(value)s",
    "%(problem)s %(advice)s",
    "API",
    "Budget",
    "Chat",
    "China",
    "In %(currency)s.",
    "Graph",
    "Index",
    "Text",
    "Name",
    "Person",
    "Test",
    "optional",
    "{n} s",
}
SAME_IN_CHINESE = {
    ", ",
    "%(done)s of %(total)s",
    "%(problem)s %(advice)s",
    "API",
    "Ctrl",
    "Ctrl K",
    "Shift",
    "Tokens",
    "on %(day)s",
    "tokens",
    "“%(name)s” %(reason)s.",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_ours_has_a_banned_word(language):
    wrong = []
    for entry in read_catalogue(catalogue(language)):
        if entry.msgid in SAID_TO_A_MODEL:
            continue
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            wrong += list_banned(language, text)
    assert wrong == []


def test_our_english_is_in_sentence_case_and_has_no_banned_word():
    wrong = []
    for entry in read_catalogue(catalogue("de")):
        for text in filter(None, (entry.msgid, entry.msgid_plural)):
            wrong += list_banned("en", text) + ([text] if TITLE_CASE.search(text) else [])
    assert wrong == []


def test_german_is_german_and_chinese_is_chinese():
    """What reads the same in both languages is listed here: nothing is left in English by oversight."""
    same = {entry.msgid for entry in read_catalogue(catalogue("de")) if entry.msgstr == entry.msgid}
    assert same - SAME_IN_GERMAN == set()
    chinese = re.compile(r"[\u4e00-\u9fff：]")
    latin = {
        entry.msgid
        for entry in read_catalogue(catalogue("zh_Hans"))
        if not any(chinese.search(text) for text in [entry.msgstr, *entry.msgstr_plural.values()])
    }
    assert latin - SAME_IN_CHINESE == set()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Bitte gib dein aktuelles Passwort ein."),
        ("de", "Dein Passwort"),
        ("de", "Domain"),
        ("zh_Hans", "你的密码"),
        ("zh_Hans", "退出"),
        ("en", "Forgot your password?"),
    ],
)
def test_a_banned_word_is_found(language, text):
    assert list_banned(language, text)


@pytest.mark.parametrize(
    ("language", "text"),
    [("de", "Eine Industrie-Dusche"), ("de", "Anhaltspunkt"), ("zh_Hans", "你好！"), ("zh_Hans", "退出登录")],
)
def test_words_that_only_look_like_one_pass(language, text):
    assert list_banned(language, text) == []
