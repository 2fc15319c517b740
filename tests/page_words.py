"""Which words pages may show: banned ones, in whatever text, and those of another language.

Covers: text, and the attributes that people read or hear, of whole pages. A word is foreign if no catalogue
of the page's language has it: ours, those of libraries, and ours for libraries.
Does not cover: elements that are marked as names (`translate="no"`), as speech to or from a model
(`data-speech`) or with another language; code; values of fields; and what the caller says is a name.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from typing import Any

from django.conf.global_settings import LANGUAGES
from django.db.models import Model
from django.utils.translation import to_locale

from config.messages import catalogue, library_catalogue
from models_registry.providers.table import PROVIDERS
from tenants.models import Tenant
from tests.library_texts import CATALOGUES, folder_of, read_catalogue

# pattern → the word instead
BANNED = {
    "de": {
        r"(?i)\b(du|dir|dich|dein(e|en|em|er|es)?)\b": "Sie",
        r"(?i)\b(bitte )?(gib|versuche|wähle|klicke|melde|bestätige) ": "geben Sie …",
        r"\bTenants?\b": "Mandant",
        r"\bDomains?\b": "Hostname",
        r"(?i)\banhalten\b|\bangehalten\b|\bHalten Sie sie\b": "stoppen, gestoppt",
        r"Erneut antworten": "Antwort neu erstellen",
        r"(?i)\b(gelesene|geschriebene) Token\b": "Eingabe-Token, Ausgabe-Token",
        r"\bTokens\b": "Token",
        r"Berechtigungsumfang": "Berechtigungen",
        r"Das dürfen Sie nicht": "Dazu fehlt Ihnen die Berechtigung",
        r"in Ruhe gelassen": "vorübergehend nicht angefragt",
        r"übliche längste Antwort": "Antwortlänge ohne Vorgabe",
        r"zu üblich": "zu leicht zu erraten",
        r"Sehen Sie in Ihr Postfach": "Prüfen Sie Ihr Postfach",
        r"^Beginnt neu": "Neu ab",
        r"darf noch ausgegeben werden": "Verfügbares Budget",
        r"konnte nicht gegeben werden": "Es kam keine Antwort zustande",
        r"Adresse des Geräts": "IP-Adresse",
        r"\bwie das Gerät\b": "Wie Gerät",
        r"Wie geht es": "Zustand der Mandanten",
        r"unter der .* Sie kennt": "Mit Ihrer E-Mail-Adresse bei …",
        r"\bGruppen?\b": "Rolle",
        r"\bSichern\b": "Speichern",
        r"^Löschen [A-ZÄÖÜ]": "Modell löschen, Projekt löschen …",
        r"\b(Bitten Sie die|Die) Administration (muss|kann)\b": "eine Administratorin oder …",
    },
    "zh_Hans": {
        r"你(?!好)": "您",
        r"过滤": "筛选",
        r"此安装|演示安装": "本系统, 演示环境",
        r"退出(?!登录)|登出|注销": "退出登录",
        r"渠道": "发布通道",
        r"域名": "主机名",
        r"令牌": "Token",
        r"读取的 ?Token|生成的 ?Token": "输入 Token, 输出 Token",
        r"重新计算": "将于…重置",
        r"还可以支出多少": "剩余预算",
        r"支持工单": "客服工单",
        r"开始建议": "推荐问题",
        r"提供方": "提供商",
        r"专用网络": "私有网络",
        r"备用模型": "替代模型",
        r"\btoken\b": "Token",
        r"远程地址": "IP 地址",
        r"(?<![\w(])[Ee]mail": "电子邮件",
    },
    "en": {
        r"(?i)\bforgot (your )?password\b": "Forgotten your password?",
        r"(?i)\bleaves? soon\b": "retires",
        r"\bView site\b": "Back to chat",
        r"(?i)\bsign(ed)? (in|out)\b": "log in, log out",
        r"(?i)\btokens (read|written)\b": "input tokens, output tokens",
        r"(?i)\bstaff (account|member)\b": "may enter the administration",
    },
}
# two words with capitals are a title in the old manner, but for names
TITLE_CASE = re.compile(
    r"\b(?!(?:European|United|Simplified|Ctrl|Web)\b)[A-Z][a-z]+ (?!Atrium\b|States\b)[A-Z][a-z]+\b"
)
UNSAID = {"code", "kbd", "pre", "script", "style", "svg", "textarea"}
WITHOUT_END = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
SAID = ("title", "aria-label", "aria-description", "placeholder", "alt", "data-label", "label")
# of no language: what the field, the product and the browser call so
NAMES = {"atrium", "csv", "ct", "esc", "fen", "ms", "postgresql", "rp", "xlsx"}
# code and names, in either language's quotation marks
QUOTED = re.compile(r"`[^`]*`|„[^“]*“|“[^”]*”")
CAST = {
    "Acme",
    "acme",
    "Alice",
    "Bob",
    "Globex",
    "globex",
    "Olga Orlova",
    "Standard",
    "Unlimited",
    "unlimited",
    "mock",
}
# columns of people's own words
OWN_WORDS = (
    "name",
    "title",
    "text",
    "email",
    "domain",
    "origin",
    "slug",
    "upstream_name",
    "embedding_model",
    "object_repr",
    "key_id",
)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
LATIN = re.compile(r"[A-Za-zÀ-ž]{2}")


def list_banned(language: str, text: str) -> list[str]:
    return [
        f"{text}: {better}" for pattern, better in BANNED[language].items() if re.search(pattern, text, re.M)
    ]


def find_wrong_words(page: str, language: str, names: Iterable[str] = ()) -> list[str]:
    """What a page in this language should not say, each with the text it stands in."""
    locale = to_locale(language)
    known = None if locale == "en" else list_words(locale)
    cut = re.compile(
        "|".join(rf"(?<!\w)(?<!\w[.@]){re.escape(name)}(?!\w|[.@]\w)" for name in _longest_first(names))
        or r"(?!)"
    )
    found: list[str] = []
    for whole in set(list_said(page)):
        text = cut.sub("…", whole)
        found += list_banned(locale, text)
        if known is None:
            found += [f"{text}: sentence case"] if TITLE_CASE.search(text) else []
        else:
            foreign = sorted(set(_words(text)) - known)
            found += [f"{text}: foreign: {', '.join(foreign)}"] if foreign else []
    return found


def assert_no_wrong_words(found: dict[Any, list[str]]) -> None:
    """`found`: page → what find_wrong_words found on it."""
    wrong = [f"{page}: {text}" for page, texts in found.items() for text in texts]
    assert not wrong, "\n".join(wrong)


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.strip()}, key=len, reverse=True)


def names_in(estate: Any) -> set[str]:
    """What the rows of an estate hold of people's own words, and who and what is in every test."""
    rows = [row for row in vars(estate).values() if isinstance(row, Model)]
    own = {
        str(getattr(row, field.name))
        for row in rows
        for field in row._meta.concrete_fields
        if field.name in OWN_WORDS
    }
    providers = {provider.label for provider in PROVIDERS.values() if isinstance(provider.label, str)}
    return own | CAST | providers | set(Tenant.Currency.values) | {name for _code, name in LANGUAGES}


def list_said(page: str) -> list[str]:
    parser = _Said()
    parser.feed(page)
    parser.close()
    return parser.said


class _Said(HTMLParser):
    """Collects what a page says to people."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._language = ""
        self._open: list[tuple[str, bool]] = []  # each with whether it is left out, or stands in what is

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self._language = given.get("lang", "")
        is_left_out = (bool(self._open) and self._open[-1][1]) or (
            tag in UNSAID
            or given.get("translate") == "no"
            or "data-speech" in given
            or "material-symbols-outlined" in given.get("class", "")
            or given.get("lang", self._language) != self._language
        )
        if not is_left_out:
            self._say_attributes(tag, given)
        if tag not in WITHOUT_END:
            self._open.append((tag, is_left_out))

    def _say_attributes(self, tag: str, given: dict[str, str]) -> None:
        said = [given[name] for name in SAID if given.get(name)]
        if tag == "input" and given.get("type") in ("submit", "button", "reset"):
            said.append(given.get("value", ""))
        self.said += [" ".join(text.split()) for text in said]

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, _is_left_out = self._open.pop()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not (self._open and self._open[-1][1]):
            self.said.append(text)


@cache
def list_words(locale: str) -> frozenset[str]:
    """Every word that the catalogues of a language have."""
    paths = [catalogue(locale), library_catalogue(locale)]
    for library, places in CATALOGUES.items():
        paths += [
            folder_of(library) / place / "locale" / locale / "LC_MESSAGES" / "django.po" for place in places
        ]
    words = set(NAMES)
    for path in paths:
        for entry in read_catalogue(path):
            for text in (entry.msgstr, *entry.msgstr_plural.values()):
                words.update(_words(re.sub(r"%\(\w+\)[a-z]|%[sd]|\{\w*(:\w)?\}|<[^>]*>", " ", text)))
    return frozenset(words)


def _words(text: str) -> Iterator[str]:
    """The Latin words of a text, in small letters. What has signs within is code, an address or a file."""
    bare = QUOTED.sub(" ", text)
    for piece in re.split(r"[\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+|…", bare):
        piece = piece.strip("„“”‚‘’\"'()[]<>.,;:!?·–—-+→%*#")
        if re.search(r"[\d_/@=.:\\]", piece):
            continue
        for part in WORD.findall(piece):
            if LATIN.match(part):
                yield part.casefold()
