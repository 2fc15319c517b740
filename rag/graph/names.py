"""What a text names: people, places, works, organisations; found by how they are written, without a model.

English: capitalised phrases. German, where every noun is capitalised: capitalised words side by side,
abbreviations, quoted names. Chinese: titles of works and quoted names. In each language the document's own
title is a name. Does not cover: names in lower case, one person under two names, a single German name.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

from rag.analysis.language import UNSPACED
from rag.analysis.stop_words import STOP_WORDS

LONGEST, MOST_WORDS = 80, 8  # of a name: characters, words
MOST_IN_TEXT = 60
SHORTEST_UNSPACED = 2
# stand inside a name, never at its ends
_INNER = "of|the|and|de|la|le|du|des|da|do|di|del|van|von|der|den|for|in|y|al|zu|zur|für|und|&"
_WORD = r"[A-ZÀ-ÖØ-ÞĀ-Ž0-9][\w’'&.-]*\w|[A-Z]"
_phrase = re.compile(rf"(?:{_WORD})(?:\s+(?:(?:{_INNER})\s+){{0,2}}(?:{_WORD}))*")
_quoted = re.compile(r"[“„»«「『《]([^“”„»«「」『』《》\n]{2,60})[”“«»」』》]")
_abbreviation = re.compile(r"\b[A-ZÄÖÜ]{2,}[A-ZÄÖÜ0-9]*(?:-[A-Z0-9]+)*\b")
_sentence_end = re.compile(r"(?:^|[.!?:;\n]\s*[\"“„(]?)$")
_brackets = re.compile(r"\s*[(（][^()（）]*[)）]\s*$")
_token = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+")
_unspaced = re.compile(f"[{UNSPACED}]")
_common = frozenset().union(*STOP_WORDS.values()) | {
    *"also although however many several since despite during among following according".split(),
    *"january february march april may june july august september october november december".split(),
    *"monday tuesday wednesday thursday friday saturday sunday one two three first second".split(),
    *"new other most some both another until upon later today there while after before".split(),
}


@lru_cache(maxsize=50_000)
def normalise(name: str) -> str:
    """The form in which two spellings are one name: folded, without marks and punctuation."""
    folded = unicodedata.normalize("NFKD", name).casefold().replace("’s", "").replace("'s", "")
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    tokens = _token.findall(plain.replace("_", " "))
    if len(tokens) > 1 and tokens[0] in ("the", "a", "an"):
        tokens = tokens[1:]
    return _join(tokens)


def _join(tokens: Iterable[str]) -> str:
    text = " ".join(tokens)
    return re.sub(rf"(?<=[{UNSPACED}]) (?=[{UNSPACED}])", "", text) if _unspaced.search(text) else text


@lru_cache(maxsize=200_000)
def number_of(normal: str) -> int:
    """The number by which a name is kept: 64 bits, as terms are."""
    return int.from_bytes(blake2b(normal.encode(), digest_size=8).digest(), "little", signed=True)


def list_title_names(title: str) -> list[str]:
    """The names that a document's title is: whole, without what explains it, before its comma."""
    whole = _brackets.sub("", " ".join(title.split()))[:LONGEST]
    found = [whole, whole.partition(",")[0].strip()]
    return [name for name in dict.fromkeys(found) if _is_name(name)]


def list_names(text: str, language: str) -> list[str]:
    """The names in a text, each once, in their order."""
    found = [match[1].strip() for match in _quoted.finditer(text)]
    found += _list_phrases(text, language)
    by_form: dict[str, str] = {}
    for name in found:
        if _is_name(name):
            by_form.setdefault(normalise(name), name)
        if len(by_form) == MOST_IN_TEXT:
            break
    return list(by_form.values())


def _list_phrases(text: str, language: str) -> Iterator[str]:
    if language == "zh":
        yield from (match[0] for match in _abbreviation.finditer(text))
        return
    if language == "de":
        yield from (match[0] for match in _abbreviation.finditer(text))
    for match in _phrase.finditer(text):
        words = match[0].split()
        begins_sentence = bool(_sentence_end.search(text[max(0, match.start() - 4) : match.start()]))
        while words and words[0].casefold().strip(".") in _common:
            words, begins_sentence = words[1:], False
        if language == "de":
            if begins_sentence and len(words) == 2:
                continue
            if len(words) < 2:
                continue
        if 0 < len(words) <= MOST_WORDS:
            yield " ".join(words)


def _is_name(name: str) -> bool:
    normal = normalise(name)
    if not 0 < len(normal) <= LONGEST or normal in _common or normal.replace(" ", "").isdigit():
        return False
    return (
        len(normal) > 2
        or (bool(_unspaced.search(normal)) and len(normal) >= SHORTEST_UNSPACED)
        or name.isupper()
    )


def list_possible(question: str) -> list[str]:
    """Every run of words of a question that may be a name, in the form in which names are compared: people
    write them in lower case when they ask.
    """
    plain = normalise(question[:500])
    tokens = _token.findall(plain)
    most = 12 if _unspaced.search(plain) else MOST_WORDS
    found = [
        _join(tokens[first : first + count])
        for count in range(1, most + 1)
        for first in range(len(tokens) - count + 1)
    ]
    return [name for name in dict.fromkeys(found) if name not in _common and len(name) > 1]
