"""Words that readers stumbled over stay out of what people read: ours, and what pages show of Django's and
allauth's texts.
"""

import re

import polib
import pytest
from django.utils import translation

from config.borrowed_texts import BORROWED
from config.messages import LANGUAGES, catalogue

# pattern → the word instead
BANNED = {
    "de": {
        r"(?i)\b(du|dir|dich|dein(e|en|em|er|es)?)\b": "Sie",
        r"(?i)\b(bitte )?(gib|versuche|wähle|klicke|melde) ": "geben Sie …",
        r"\bTenants?\b": "Mandant",
        r"\bDomains?\b": "Hostname",
        r"(?i)\banhalten\b|\bangehalten\b": "stoppen, gestoppt",
        r"Erneut antworten": "Antwort neu erstellen",
        r"(?i)\b(gelesene|geschriebene) Token\b": "Eingabe-Token, Ausgabe-Token",
        r"Berechtigungsumfang": "Berechtigungen",
        r"Das dürfen Sie nicht": "Dazu fehlt Ihnen die Berechtigung",
        r"in Ruhe gelassen": "vorübergehend nicht angefragt",
        r"übliche längste Antwort": "Antwortlänge ohne Vorgabe",
        r"zu üblich": "zu leicht zu erraten",
        r"Sehen Sie in Ihr Postfach": "Prüfen Sie Ihr Postfach",
        r"^Beginnt neu": "Neu ab",
        r"darf noch ausgegeben werden": "Verfügbares Budget",
    },
    "zh_Hans": {
        r"你(?!好)": "您",
        r"过滤器": "筛选",
        r"此安装|演示安装": "本系统, 演示环境",
        r"退出(?!登录)": "退出登录",
        r"渠道": "发布通道",
        r"域名": "主机名",
        r"读取的 ?Token|生成的 ?Token": "输入 Token, 输出 Token",
        r"重新计算": "将于…重置",
        r"还可以支出多少": "剩余预算",
    },
}
# what people say to a model, as friends do
SAID_TO_A_MODEL = ("What can you do?",)


def list_banned(language: str, text: str) -> list[str]:
    return [
        f"{text}: {better}" for pattern, better in BANNED[language].items() if re.search(pattern, text, re.M)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_ours_has_a_banned_word(language):
    wrong = []
    for entry in polib.pofile(str(catalogue(language))):
        if entry.msgid in SAID_TO_A_MODEL:
            continue
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            wrong += list_banned(language, text)
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", BORROWED)
def test_a_borrowed_text_is_said_in_our_words(language, text):
    with translation.override(language.replace("_", "-")):
        shown = translation.gettext(text)
    assert shown != text and list_banned(language, shown) == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Bitte gib dein aktuelles Passwort ein."),
        ("de", "Dein Passwort"),
        ("de", "Domain"),
        ("zh_Hans", "你的密码"),
        ("zh_Hans", "退出"),
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
