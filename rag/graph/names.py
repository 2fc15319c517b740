"""What a text names: people, places, works, organisations; found by how they are written, without a model.

English: capitalised phrases, but for a single word that begins a sentence. German, where every noun is
capitalised: `rag.graph.german`, and quoted names. Chinese: titles of works, quoted
names, abbreviations. In each language the document's own title is a name. Does not cover: names in lower
case, one person under two names, most single German names, a Chinese name without marks.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

from foundation.language.detection import UNSPACED
from foundation.language.stop_words import STOP_WORDS
from rag.graph import german

LONGEST, MOST_WORDS = 80, 8  # of a name: characters, words
MOST_IN_TEXT = 60
READ_AT_ONCE = 500  # texts whose words are in memory together
SHORTEST_UNSPACED = 2
# stand inside a name, never at its ends
_INNER = "of|of the|and|and the|de|la|le|du|des|da|do|di|del|van|von|der|den|for|in|y|al|zu|zur|für|und|&"
_WORD = r"[A-ZÀ-ÖØ-ÞĀ-Ž0-9][\w’'&.-]*\w|[A-Z]"
_phrase = re.compile(rf"(?:{_WORD})(?:\s+(?:(?:{_INNER})\s+)?(?:{_WORD}))*")
_quoted = re.compile(r"[“„»«「『《]([^“”„»«「」『』《》\n]{2,60})[”“«»」』》]")
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ0-9"
_abbreviation = re.compile(rf"(?<![{_LATIN}])[A-ZÄÖÜ]{{2,}}[A-ZÄÖÜ0-9]*(?:-[A-Z0-9]+)*(?![{_LATIN}])")
_sentence_end = re.compile(r"(?:^|[.!?:;\n]\s*[\"“„(]?)$")
_brackets = re.compile(r"\s*[(（][^()（）]*[)）]\s*$")
_file_name = re.compile(
    r"\.(pdf|docx?|xlsx?|pptx?|csv|txt|md|html?|eml|png|jpe?g|tiff?|webp)$", re.IGNORECASE
)
_token = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w)+")
_unspaced = re.compile(f"[{UNSPACED}]")
_gap = re.compile(rf"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")
_COMMON = """
also although however many several since despite during among following according new other most some both
another until upon later today there while after before one two three first second
january february march april may june july august september october november december true false
monday tuesday wednesday thursday friday saturday sunday
"""
_common = frozenset(_COMMON.split()).union(*STOP_WORDS.values())


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
    return _gap.sub("", text) if _unspaced.search(text) else text


@lru_cache(maxsize=200_000)
def number_of(normal: str) -> int:
    """The number by which a name is kept: 64 bits, as terms are."""
    return int.from_bytes(blake2b(normal.encode(), digest_size=8).digest(), "little", signed=True)


def list_title_names(title: str) -> list[str]:
    """The names that a document's title is: whole, without what explains it, before its comma."""
    whole = _brackets.sub("", " ".join(title.split()))[:LONGEST]
    found = [whole, whole.partition(",")[0].strip()]
    return [name for name in dict.fromkeys(found) if _is_name(name)]


def list_names(texts: Sequence[str], language: str) -> Iterator[list[str]]:
    """The names in each of these texts, each once, in their order. What is a name in a German one is learnt
    from all of them.
    """
    for first in range(0, len(texts), READ_AT_ONCE):
        together = texts[first : first + READ_AT_ONCE]
        phrases = (
            german.list_phrases(together)
            if language == "de"
            else (_list_phrases(text, language) for text in together)
        )
        for text, found in zip(together, phrases, strict=True):
            yield _list_once([*_list_quoted(text, language), *found])


def _list_quoted(text: str, language: str) -> Iterator[str]:
    for match in _quoted.finditer(text):
        name = match[1].strip()
        if language != "de" or german.is_quoted_name(name):
            yield name


def _list_once(found: Iterable[str]) -> list[str]:
    by_form: dict[str, str] = {}
    for name in map(_without_possession, found):
        if _is_name(name):
            by_form.setdefault(normalise(name), name)
        if len(by_form) == MOST_IN_TEXT:
            break
    return list(by_form.values())


def _without_possession(name: str) -> str:
    return name[:-2] if name.endswith(("’s", "'s")) else name


def _list_phrases(text: str, language: str) -> Iterator[str]:
    if language == "zh":
        yield from (match[0] for match in _abbreviation.finditer(text))
        return
    for match in _phrase.finditer(text):
        words = match[0].split()
        begins_sentence = bool(_sentence_end.search(text[max(0, match.start() - 4) : match.start()]))
        while words and words[0].casefold().strip(".") in _common:
            words, begins_sentence = words[1:], False
        if 1 + begins_sentence <= len(words) <= MOST_WORDS:
            yield " ".join(words)
            if words[0].isdigit():  # “1936 FA Cup Final”, but “in 1951 Ada King”
                yield " ".join(words[1:])


def _is_name(name: str) -> bool:
    normal = normalise(name)
    if not 0 < len(normal) <= LONGEST or normal in _common or normal.replace(" ", "").isdigit():
        return False
    if _file_name.search(name):
        return False
    return (
        len(normal) > 2
        or (bool(_unspaced.search(normal)) and len(normal) >= SHORTEST_UNSPACED)
        or name.isupper()
    )
