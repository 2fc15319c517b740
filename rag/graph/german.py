"""Names in German texts, where every noun has a capital and so says nothing by it.

A name is told by what common nouns do not do: capitals side by side within a sentence (“Eva Weber”,
“Europäische Union”), an organisation's form behind it (GmbH, e. V.), capitals inside (OpenAI), a genitive in
front of its noun (“Luthers Schriften”). What is common is learnt from the texts that are indexed
together (`Nouns`): words behind an article, an adjective or a number, compounds that end in such a word,
words that are written small elsewhere, and endings that only common nouns have.
Does not cover: most single names, and nouns of two languages side by side.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from foundation.language.stop_words import STOP_WORDS
from rag.graph.german_words import DETERMINERS, MEASURES, PLACES

CONJUNCTIONS = "sie ihr ihnen sobald soweit sowohl weder sofern falls soll gilt sowie"
NOBLE = ("von", "van", "de", "zu", "of", "du", "di", "da", "del", "la", "le")
COMMON_END = re.compile(
    r"(?:ung|heit|keit|schaft|tion|sion|tät|ment|nis|ling|mus|ler|iker|ierer|erer)(?:e|s|es|en|n|se|sen)?$"
    r"|(?:(?<!s)chen|lein)$"
)
ADJECTIVE_END = re.compile(
    r"(?:isch|lich|ig|iert|igt|ell|är|iv|ös|haft|sam|bar|erst|zweit|dritt|viert|fünft|groß|klein|neu|heilig|"
    r"rot|schwarz|weiß|grün|öffentlich)(?:e|en|er|es|em)$"
)
COMPANY = r"(?:g?GmbH|AG|KGaA|KG|OHG|SE|UG|eG|e\. ?V\.|mbH|Inc\.?|Ltd\.?)"
_form_of_company = re.compile(rf"\s{COMPANY}(?!\w)")
_company = re.compile(rf"((?:[A-ZÄÖÜ][\w&.-]*\s+){{1,4}}(?:& Co\. )?{COMPANY})(?!\w)")
_ends_as_adjective = re.compile(r"(?:e|en|er|es|em)$")
_ends_as_plural = re.compile(r"(?:en|er|e|ern|eln|el|n)$")
_token = re.compile(r"[A-HJ-UWYZÄÖÜ]\.(?=\s+[A-ZÄÖÜ])|[^\W_][\w’'&-]*|\n+|[^\w\s]")
_odd = re.compile(r"[a-zäöü][A-ZÄÖÜ]|[A-Z][A-Za-z]+\d|^[A-ZÄÖÜ]{2,}[A-ZÄÖÜ0-9]*(?:-[A-Z0-9]+)*$")
_small_behind_hyphen = re.compile(r"-[a-zäöü]+e[mnrs]?$")
_closing = frozenset('.!?:;\n„“”»«"()[]–|*#§')
_stops = STOP_WORDS["de"] | DETERMINERS | frozenset(CONJUNCTIONS.split())
SHORTEST_TAIL = 4
MOST_QUOTED = 6  # words
LONGEST_SIMPLE = 13  # a longer German word is a compound
BARE_SHARE = 3  # a name stands so many times as often without an article as with one


@dataclass(frozen=True, slots=True)
class Form:
    """What a written word is by itself. `is_capital`: a noun or a name, as far as its capital tells."""

    text: str
    folded: str
    root: str
    is_small: bool
    is_capital: bool
    is_determiner: bool
    is_adjective: bool  # in lower case, by its ending
    is_odd: bool  # capitals inside, or nothing but capitals


@lru_cache(maxsize=100_000)
def _form(text: str) -> Form:
    folded = text.casefold()
    is_small = text[0].islower()
    is_name = text[0].isupper() and len(text) > 1 and folded not in _stops and text[-1] != "-"
    return Form(
        text,
        folded,
        _root(folded),
        is_small,
        is_capital=is_name and not _small_behind_hyphen.search(text),
        is_determiner=folded in DETERMINERS or text[0].isdigit(),
        is_adjective=is_small and folded not in _stops and bool(_ends_as_adjective.search(folded)),
        is_odd=bool(_odd.search(text)),
    )


@dataclass(slots=True)
class Word:
    """`is_first`: of its sentence, so that a capital says nothing. `has_gap`: more than space stands before
    it. `is_described`: behind an article, an adjective or a number: “die Sammlung”, “12 Seiten”.
    """

    form: Form
    article: str  # which stands before it, folded
    is_first: bool
    has_gap: bool
    is_described: bool

    @property
    def text(self) -> str:
        return self.form.text

    @property
    def folded(self) -> str:
        return self.form.folded


def read_words(text: str) -> list[Word]:
    words: list[Word] = []
    is_first = has_gap = True
    before: Form | None = None
    for token in _token.findall(text):
        if not token[0].isalnum():
            is_first, has_gap = is_first or token[0] in _closing, True
            continue
        form = _form(token)
        is_described, article = False, ""
        if before is not None and not has_gap:
            is_described = before.is_determiner or before.is_adjective
            article = before.folded if before.is_determiner else ""
        words.append(Word(form, article, is_first, has_gap, is_described))
        before, is_first, has_gap = form, False, False
    return words


@dataclass(slots=True)
class Nouns:
    """What the texts that are indexed together know of their words."""

    small: set[str] = field(default_factory=set)
    described: Counter[str] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
    adjectives: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)  # with a capital
    named: set[str] = field(default_factory=set)  # by a genitive in front of its noun
    _known: dict[str, bool] = field(default_factory=dict)  # whether a folded word is common

    @classmethod
    def learn(cls, texts: Iterable[Sequence[Word]]) -> "Nouns":
        nouns, genitives = cls(), set()
        for words in texts:
            leads = False  # from the last word to the first: whether a capital stands behind it
            for word in reversed(words):
                form = word.form
                if form.is_small:
                    nouns.small.add(form.root)
                    if leads and form.is_adjective:
                        nouns.adjectives.add(form.root)
                elif form.is_capital:
                    nouns._look_at(word, leads=leads)
                    if leads and _is_genitive(word):
                        genitives.add(word.folded.removesuffix("s"))
                leads = form.is_capital and not word.has_gap
        nouns.named = {one for one in genitives if one in nouns.seen and not nouns.is_common(one)}
        nouns._known.clear()
        return nouns

    def _look_at(self, word: Word, *, leads: bool) -> None:
        """`leads`: a further capital stands behind it, so that an article may be that one's."""
        form = word.form
        self.seen.add(form.folded)
        if word.is_described:
            self.described[form.root] += not leads
        elif not word.is_first:
            self.bare[form.folded] += 1

    def is_common(self, word: str) -> bool:
        """Of all that was learnt."""
        folded = word.casefold()
        if (known := self._known.get(folded)) is None:
            known = self._known[folded] = self._is_common(folded)
        return known

    def _is_common(self, folded: str) -> bool:
        if folded in PLACES or folded in self.named:
            return False
        if folded in MEASURES or COMMON_END.search(folded):
            return True
        if len(folded) >= LONGEST_SIMPLE and folded.isalpha():
            return True
        root = _root(folded)
        if root in self.small:
            return True
        if self.described[root] * BARE_SHARE > self.bare[folded] and self.described[root] > 0:
            return True
        described = self.described.get
        return any(described(root[at:]) for at in range(3, len(root) - SHORTEST_TAIL + 1))

    def is_adjective(self, word: str) -> bool:
        folded = word.casefold()
        if not _ends_as_adjective.search(folded):
            return False
        return bool(ADJECTIVE_END.search(folded)) or _root(folded) in self.adjectives

    def is_kind(self, word: Word) -> bool:
        """Whether a word says what the next one is, or only stands beside it: “das Format MPEG-4”, “dem
        Vertreter Zugang”, but not “das Harvard-Museum”, “die Berliner Mauer”.
        """
        if not word.is_described or self.is_adjective(word.text):
            return False
        return not self.bare[word.folded] and word.folded.removesuffix("er") not in PLACES

    def is_single(self, word: Word) -> bool:
        """Whether a word is a name by itself."""
        folded = word.folded
        if folded in MEASURES or word.text.isdigit():
            return False
        return word.form.is_odd or folded in PLACES or folded in self.named


def _is_genitive(word: Word) -> bool:
    return not word.is_first and not word.is_described and word.text.endswith("s")


def _root(folded: str) -> str:
    """A noun's forms are one: “Modell”, “Modelle”, “Modellen”, “Modells”."""
    for end in ("ern", "en", "er", "es", "em", "e", "n", "s"):
        if folded.endswith(end) and len(folded) - len(end) > 2:
            return folded[: -len(end)]
    return folded


def list_phrases(texts: Sequence[str]) -> Iterator[list[str]]:
    """The names of each of these texts, in their order: what is common is learnt from all of them."""
    words = [read_words(text) for text in texts]
    nouns = Nouns.learn(words)
    for text, read in zip(texts, words, strict=True):
        yield list(_list_names(text, read, nouns))


def _list_names(text: str, words: Sequence[Word], nouns: Nouns) -> Iterator[str]:
    for match in _company.finditer(text) if _form_of_company.search(text) else ():
        yield " ".join(match[1].split())
    for run in _list_runs(words):
        yield from _names_of(run, nouns)


def _list_runs(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Capitals that stand side by side, with the particles of names between them."""
    run: list[Word] = []
    held: list[Word] = []  # particles, until a capital follows
    for word in words:
        if word.has_gap and run and not run[-1].text.endswith("."):
            yield run
            run, held = [], []
        if word.form.is_capital or (run and word.text.isdigit()):
            run += [*held, word]
            held = []
        elif run and not held and word.folded in NOBLE:
            held = [word]
        elif run:
            yield run
            run, held = [], []
    if run:
        yield run


def _names_of(run: list[Word], nouns: Nouns) -> Iterator[str]:
    if len(run) == 1 and not nouns.is_single(run[0]):
        return  # most: a noun by itself
    run = _without_rim(run, nouns)
    if len(run) == 1 and nouns.is_single(run[0]):
        yield run[0].text
    if len(run) < 2:
        return
    first, last = run[0], run[-1]
    if first.folded.removesuffix("s") in nouns.named and nouns.is_common(last.text):
        yield first.text[:-1]  # “Luthers Schriften”
    elif len(run) == 2 and nouns.is_kind(first):
        if nouns.is_single(last):
            yield last.text
    elif any(not nouns.is_common(word.text) for word in run if not word.text.isdigit()):
        yield " ".join(_uninflected(run, nouns))


def _without_rim(run: list[Word], nouns: Nouns) -> list[Word]:
    """Without what only seems to belong to a name: a verb or adjective that begins a sentence, what kind of
    thing it is (“die Stadt Visby”), numbers.
    """
    if any(word.folded in ("von", "zu") for word in run):
        run = _around_particle(run, nouns)
    if run and run[0].is_first and len(run) > 1:
        first = run[0].folded
        if nouns.is_common(first) or _ends_as_adjective.search(first) or first.endswith("t"):
            run = run[1:]
    while run and (
        run[0].text.isdigit()
        or run[0].folded in MEASURES
        or run[0].folded in NOBLE
        or (nouns.is_common(run[0].text) and not _may_begin(run, nouns))
    ):
        run = run[1:]
    while run and (
        run[-1].folded in MEASURES
        or (run[-1].text.isdigit() and (len(run) < 3 or nouns.is_common(run[-2].text)))
    ):
        run = run[:-1]
    return run


def _may_begin(run: list[Word], nouns: Nouns) -> bool:
    """Whether a common word belongs to the name: “Europäische Union”, “EU”."""
    return nouns.is_single(run[0]) or (len(run) > 1 and nouns.is_adjective(run[0].text))


def _around_particle(run: list[Word], nouns: Nouns) -> list[Word]:
    """“Otto von Bismarck”, but not “Sammlung von Dokumenten”."""
    at = next(place for place, word in enumerate(run) if word.folded in ("von", "zu"))
    left, right = run[:at], run[at + 1 :]
    is_person = not any(
        nouns.is_common(word.text) or word.is_described or word.text[0].isdigit() for word in (*left, *right)
    )
    if is_person and (len(left) > 1 or not _ends_as_plural.search(left[0].folded)):
        return run
    return left if len(left) > 1 else right


def _uninflected(run: list[Word], nouns: Nouns) -> list[str]:
    """“des Europäischen Parlaments” is “Europäische Parlament”: in each case the same name."""
    texts = [word.text for word in run]
    article = run[0].article
    for at, word in enumerate(run[:-1]):
        if not nouns.is_adjective(word.text):
            break
        texts[at] = re.sub(r"e[mn]$" if article else r"e[nms]$", "e", word.text)
    if article == "des" and nouns.is_adjective(run[0].text):
        last = re.sub(r"(?<=[^aeioué])e?s$", "", texts[-1])
        texts[-1] = last if len(last) > 3 and not texts[-1].endswith("onds") else texts[-1]
    return texts


def is_quoted_name(quoted: str) -> bool:
    """“Haus am See”, but not a button's “Antwort neu erstellen”, a single word, a sentence."""
    words = quoted.split()
    return (
        2 <= len(words) <= MOST_QUOTED
        and words[0][0].isupper()
        and (words[-1][0].isupper() or words[-1].isdigit())
        and not re.search(r"[.!?,;:]", quoted)
        and all(not word[0].islower() or word in STOP_WORDS["de"] for word in words)
    )
