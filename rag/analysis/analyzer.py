"""The analyzer: Unicode's compatibility forms, casefolding, Snowball's stems and stop words in German and
English, single characters and pairs of them in Chinese, numbers and identifiers whole.

The words of a text decide by their own script: Chinese in a German text becomes pairs, German in a Chinese
one is stemmed as the text's language says. Does not cover: synonyms, misspellings, traditional against
simplified characters.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import add

import Stemmer

from foundation.language.detection import UNSPACED, detect_language
from foundation.language.stop_words import STOP_WORDS
from rag.analysis.compounds import Lexicon, split_compound
from rag.analysis.questions import without_question_words
from rag.analysis.verb_forms import join_forms

VERSION = 2
VERB_FORMS = 2  # from this version on, German verbs are found in all their forms
MAX_TERM = 64  # characters: what is longer is no word
KEPT_WORDS = 200_000  # whose terms an analyzer remembers

_ALGORITHMS = {"en": "english", "de": "german"}
_WORD = rf"[^\W_{UNSPACED}]"
_token = re.compile(
    rf"[{UNSPACED}]+"
    rf"|{_WORD}+(?:[-–./:,_'’+@#&]{_WORD}+)*"  # dual-encoder, 2019/790, Warsaw's
)
_digit = re.compile(r"\d")
_thousands = re.compile(r"\d{1,3}(?:[.,'’]\d{3})+")
_inside = re.compile(r"[-–./:,_+@#&]")
_unspaced = re.compile(f"[{UNSPACED}]")


def fold(text: str) -> str:
    """The form in which texts are compared: ligatures, full-width letters and ß are undone."""
    return unicodedata.normalize("NFKC", text).casefold()


@lru_cache(maxsize=KEPT_WORDS)
def _without_marks(text: str) -> str:
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


class Analyzer:
    """Reads texts for one index, as the version that made it. Not for several threads at once: Snowball's
    stemmers are not.
    """

    def __init__(self, lexicon: Lexicon | None = None, version: int = VERSION) -> None:
        self._lexicon = lexicon or Lexicon()
        self._version = version
        self._stemmers = {
            language: Stemmer.Stemmer(name, 0).stemWord for language, name in _ALGORITHMS.items()
        }
        self._terms: dict[str, dict[str, tuple[str, ...]]] = {}
        self._stems: dict[str, tuple[str, ...]] = {}  # of tokens, for a lexicon
        self._stem_part = lru_cache(maxsize=KEPT_WORDS)(self._read_part)

    def list_terms(self, text: str, language: str) -> list[str]:
        """The terms of a text in their order, repetitions included. A language without rules of its own (or
        "") has its words as they are.
        """
        found: list[str] = []
        known = self._terms.setdefault(language, {})
        for token in _token.findall(fold(text)):
            terms = known.get(token)
            if terms is None:
                terms = self._read_token(token, language)
                if len(token) <= MAX_TERM and not _unspaced.match(token):
                    if len(known) >= KEPT_WORDS:
                        known.clear()
                    known[token] = terms
            found += terms
        return found

    def list_question_terms(self, question: str, languages: Sequence[str]) -> list[str]:
        """The terms of a question, each once, in the language it is asked in, or in all of the collection's
        where the question does not tell. A Chinese one loses the words of which only questions are made.
        """
        language = detect_language(question, languages)
        wanted = [language] if language else languages
        asked = without_question_words(question) if "zh" in wanted else question
        return list(dict.fromkeys(term for one in wanted for term in self.list_terms(asked, one)))

    def list_stems(self, text: str) -> list[str]:
        """The stems of a German text's whole words without stop words, for a lexicon to learn from."""
        found: list[str] = []
        for token in _token.findall(fold(text)):
            stems = self._stems.get(token)
            if stems is None:
                if len(self._stems) >= KEPT_WORDS:
                    self._stems.clear()
                stems = self._stems[token] = self._read_stems(token)
            found += stems
        return found

    def _read_stems(self, token: str) -> tuple[str, ...]:
        return tuple(
            _without_marks(self._stemmers["de"](word))
            for word in _inside.split(token)
            if len(word) >= 4 and word.isalpha() and word not in STOP_WORDS["de"]
        )

    def _read_token(self, token: str, language: str) -> tuple[str, ...]:
        if _unspaced.match(token):
            return (*token, *map(add, token, token[1:]))
        if _thousands.fullmatch(token):
            return (re.sub(r"\D", "", token)[:MAX_TERM],)
        parts = [part for part in _inside.split(token) if part]
        terms = [term for part in parts for term in self._read_word(part, language)]
        if len(parts) > 1 and _digit.search(token):
            terms.insert(0, token)  # 2019/790, ISO-9001, 12.05.2019: whole, and its parts
        return tuple(_without_marks(term)[:MAX_TERM] for term in terms)

    def _read_word(self, word: str, language: str) -> Iterable[str]:
        word = word.replace("’", "'")
        stem = self._stemmers.get(language)
        if stem is None or _digit.search(word):
            return (word,)
        if word in STOP_WORDS[language]:
            return ()
        if language != "de":
            return (stem(word),)
        terms = (stem(word), *split_compound(word, self._lexicon, self._stem_part))
        if self._version < VERB_FORMS:
            return terms
        return [join_forms(_without_marks(term), self._stem_part) for term in terms]

    def _read_part(self, part: str) -> str:
        return _without_marks(self._stemmers["de"](part))


def learn_lexicon(texts: Iterable[str]) -> Lexicon:
    """The lexicon of a collection's German chunks."""
    analyzer = Analyzer()
    return Lexicon.learn(analyzer.list_stems(text) for text in texts)
