"""Whether the figures of a sentence stand where it says that they stand: amounts, dates and shares, as
English, German and Chinese write them.

Guards against: a number that a model made up or mixed up, with a source beside it that does not say it. Does
not cover: a right number said of something else; numbers in words, and sums and roundings, which are called
missing though they may be right. A number that can be read in two ways (1.234) stands there if either does.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from prompts.passages import drop_code, split_markers
from rag.context import Excerpt

Readings = set[Decimal]  # what a number may mean
MOST_TOLD = 5
_SPACES = " \u00a0\u2009\u202f'’"
_figure = re.compile(
    rf"(?<![a-zA-Z\d.,/])(?:\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,/]\d+)*)(?!\d)"
    r"(?:[ \u00a0\u202f]?(million(?:s|en)?|mio|mn|billion(?:s|en)?|bn|milliarden?|mrd|thousand|tausend|tsd"
    r"|[km](?![^\W_])|[百千万萬亿億]+))?",
    re.IGNORECASE,
)
_sentence_end = re.compile(r"(?<=[.!?])(?<!\b\d\.)(?<!\b\d\d\.)\s+|(?<=[。！？])|\n+")
_marks_behind = re.compile(r"([.!?。！？])(\s*(?:[\[【][\d\s,;、，]+[\]】]\s*)+)")
_list_mark = re.compile(r"^\s*(?:[#>*+-]\s*)*\d+[.)]\s", re.MULTILINE)
_word = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_chinese = re.compile("[〇零一二两三四五六七八九十百千万亿]{1,20}")
_SCALES = {
    10**3: "thousand tausend tsd k",
    10**6: "million millions millionen mio mn m",
    10**9: "billion billions bn milliarde milliarden mrd",
    10**12: "billionen",
}
_SCALE = {word: scale for scale, words in _SCALES.items() for word in words.split()}
_SIGN_SCALE = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "萬": 10_000, "亿": 10**8, "億": 10**8}
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TWENTY_EN = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
"""
_TWENTY_DE = """
    null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn
    siebzehn achtzehn neunzehn
"""
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS_DE = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"
_MONTHS = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
)
_ONCE = "a an ein eine einen einem einer eines"


def _name_numbers() -> dict[str, int]:
    """Words → what they say; months by their number."""
    english, german = _TWENTY_EN.split(), _TWENTY_DE.split()
    named = {word: value for words in (english, german) for value, word in enumerate(words)}
    for ten, (english_ten, german_ten) in enumerate(zip(_TENS_EN.split(), _TENS_DE.split(), strict=True), 2):
        named |= {english_ten: 10 * ten, german_ten: 10 * ten}
        for one in range(1, 10):
            unit = "ein" if one == 1 else german[one]
            named |= {
                f"{english_ten}-{english[one]}": 10 * ten + one,
                f"{unit}und{german_ten}": 10 * ten + one,
            }
    for months in _MONTHS:
        for month, name in enumerate(months.split(), 1):
            named |= {name: month, name[:3]: month}
    large = {"dozen": 12, "dutzend": 12, "hundred": 100, "hundert": 100, "half": 50, "hälfte": 50, "halb": 50}
    scales = {word: scale for word, scale in _SCALE.items() if len(word) > 3}
    return named | dict.fromkeys(_ONCE.split(), 1) | large | scales


_NAMED = _name_numbers()


def list_missing(text: str, question: str, excerpts: Mapping[int, Excerpt]) -> dict[int, list[str]]:
    """Of an answer, by the number of each passage that it cites beside a figure: the figures that stand in
    none of the passages that their sentence cites, nor in the question.
    """
    asked = _read_all(question)
    said = {number: _read_all(_text_of(excerpt)) for number, excerpt in excerpts.items()}
    missing: dict[int, list[str]] = {}
    plain = _marks_behind.sub(r"\2\1 ", _list_mark.sub("", drop_code(text)))
    for sentence in _sentence_end.split(plain):
        pieces = split_markers(sentence, excerpts)
        numbers = {one for piece in pieces if isinstance(piece, list) for one in piece}
        if not numbers:
            continue
        there = asked.union(*(said[one] for one in numbers))
        words = " ".join(piece for piece in pieces if isinstance(piece, str))
        for figure in _list_unsaid(words, there):
            for one in numbers:
                missing.setdefault(one, []).append(figure)
    return {one: list(dict.fromkeys(figures))[:MOST_TOLD] for one, figures in missing.items()}


def list_unsaid(text: str, question: str, excerpt: Excerpt) -> list[str]:
    """The same for an answer that rests on one passage without naming it."""
    there = _read_all(question) | _read_all(_text_of(excerpt))
    plain = _list_mark.sub("", drop_code(text))
    return list(dict.fromkeys(_list_unsaid(plain, there)))[:MOST_TOLD]


def _text_of(excerpt: Excerpt) -> str:
    page = "" if excerpt.page_from is None else str(excerpt.page_from)
    return "\n".join([excerpt.title, *excerpt.headings, page, excerpt.text])


def _list_unsaid(text: str, there: Collection[Decimal]) -> Iterator[str]:
    for match in _figure.finditer(unicodedata.normalize("NFKC", text)):
        if not all(any(one in there for one in part) for part in _read(match)):
            yield match[0].strip()


def _read_all(text: str) -> Readings:
    """All that a text says in figures and in words."""
    text = unicodedata.normalize("NFKC", text)
    found = {one for match in _figure.finditer(text) for part in _read(match) for one in part}
    for word in _word.findall(text.lower()):
        found |= {Decimal(_NAMED[part]) for part in (word, *word.split("-")) if part in _NAMED}
    return found | {Decimal(_read_chinese(signs)) for signs in _chinese.findall(text)}


def _read(match: re.Match[str]) -> list[Readings]:
    """The parts of a figure: one, but for a date with dots."""
    digits = re.sub(f"[{_SPACES}]", "", match[0][: match.start(1) - match.start()] if match[1] else match[0])
    marks = re.findall("[.,/]", digits)
    groups = re.split("[.,/]", digits)
    are_thousands = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3
    if "/" in marks or (len(marks) > 1 and len(set(marks)) == 1 and not are_thousands):
        *first, last = ({Decimal(group)} for group in groups)
        if len(groups) == 3 and len(groups[2]) == 2:  # a year
            last |= {one + century for one in last for century in (1900, 2000)}
        return [*first, last]
    readings = set()
    if are_thousands:
        readings.add(Decimal("".join(groups)))
    if len(marks) == 1 or len(set(marks)) == 2:
        readings.add(Decimal(f"{''.join(groups[:-1])}.{groups[-1]}"))
    readings = readings or {Decimal("".join(groups))}
    return [readings | {one * _scale_of(match[1]) for one in readings}]


def _scale_of(word: str | None) -> int:
    if not word:
        return 1
    scale = _SCALE.get(word.lower(), 1)
    for sign in word:
        scale *= _SIGN_SCALE.get(sign, 1)
    return scale


def _read_chinese(signs: str) -> int:
    """三百二十万 → 3,200,000; 二〇二六 → 2026."""
    if not any(sign in _SIGN_SCALE for sign in signs):
        return int("".join(str(_DIGITS[sign]) for sign in signs))
    total = section = digit = 0
    for sign in signs:
        scale = _SIGN_SCALE.get(sign, 0)
        if not scale:
            digit = _DIGITS[sign]
        elif scale < 10_000:
            section, digit = section + (digit or 1) * scale, 0
        else:
            total, section, digit = (total + section + digit or 1) * scale, 0, 0
    return total + section + digit
