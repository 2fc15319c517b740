"""The bench: one question in several settings side by side, and what they find of an evaluation set."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext, pgettext_lazy

from accounts.models import User
from foundation.errors import AtriumError
from foundation.language.detection import detect_language
from foundation.spacing import join_texts
from rag.engines import Hit, Leg
from rag.models import Collection, Language, SavedQuestion
from rag.questions import list_measuring
from rag.reach import find_project_of
from rag.searching import Gap, search_now

LEGS: dict[Leg, object] = {
    "both": pgettext_lazy("search", "Words and meaning"),
    "words": pgettext_lazy("search", "Words"),
    "vectors": pgettext_lazy("search", "Meaning"),
}
MEASURED = 10  # recall@10, nDCG@10
MOST_QUESTIONS = 200
LONGEST_S = 8.0  # of one setting: the page waits for it
GAPS = {
    "no_model": _("This collection has no embedding model: it is searched by words only."),
    "no_vectors": _("The vectors are not made yet: words alone were searched."),
    "partly": _("Some vectors are not made yet: what lacks them was searched by words only."),
    "engine_away": _("RAGFlow does not answer: what it had read was searched by words only."),
    "too_slow": _("The embedding model took too long: words alone were searched."),
}
GAPS_OF_MEANING = {  # where words were not asked for
    "no_model": _("This collection has no embedding model: it cannot be searched by meaning."),
    "no_vectors": _("The vectors are not made yet: nothing could be searched by meaning."),
    "partly": _("Some vectors are not made yet: what lacks them was not searched."),
    "engine_away": _("RAGFlow does not answer: nothing could be searched by meaning."),
    "too_slow": _("The embedding model took too long: nothing could be searched by meaning."),
}


@dataclass(frozen=True, slots=True)
class Column:
    """What one setting found. `problem`: why it found less than it could, or nothing."""

    leg: Leg
    hits: Sequence[Hit] = ()
    embedding_ms: int = 0
    search_ms: int = 0
    problem: str = ""

    @property
    def label(self) -> str:
        return str(LEGS[self.leg])

    @property
    def asks_words(self) -> bool:
        return self.leg != "vectors"

    @property
    def asks_meaning(self) -> bool:
        return self.leg != "words"


@dataclass(frozen=True, slots=True)
class Measures:
    """Means over the questions, from 0 to 1; None: this setting could not be asked. `parts`: the same by
    language, where the questions are of several.
    """

    label: str
    recall: float | None
    mrr: float | None
    ndcg: float | None
    question_count: int
    problem: str = ""
    parts: Sequence["Measures"] = ()


def ask(user: User, collection: Collection, text: str, legs: Iterable[Leg], count: int) -> list[Column]:
    return [_ask_one(user, collection, text, leg, count) for leg in legs]


def _ask_one(user: User, collection: Collection, text: str, leg: Leg, count: int) -> Column:
    try:
        found = search_now(
            user,
            text,
            collections=[collection],
            project_id=find_project_of(user, collection),
            count=count,
            leg=leg,
            follows_names=leg == "both",  # as answers are searched
        )
    except AtriumError as exc:
        return Column(leg, problem=str(exc.message))
    trace = found.trace
    problem = join_texts(dict.fromkeys(_say_gap(gap, leg) for gap in trace.gaps))
    # what was asked for by meaning and could not be is no answer of that setting
    hits = [] if leg == "vectors" and all(hit.similarity is None for hit in found.hits) else found.hits
    return Column(leg, hits, trace.embedding_ms, trace.search_ms, problem)


def _say_gap(gap: Gap, leg: Leg) -> str:
    if leg == "vectors":
        unknown = _("The embedding model did not answer: nothing could be searched by meaning.")
        return str(GAPS_OF_MEANING.get(gap.why) or unknown)
    return str(GAPS.get(gap.why) or _("The embedding model did not answer: words alone were searched."))


def language_of(question: SavedQuestion, languages: Sequence[str]) -> str:
    """In which its search reads it; "" where it does not tell, and all are searched."""
    return detect_language(question.text, languages)


def name_language(code: str) -> str:
    return str(dict(Language.choices).get(code) or pgettext("language of a question", "not clear"))


def count_languages(questions: Iterable[SavedQuestion], languages: Sequence[str]) -> list[tuple[str, int]]:
    """Language → how many questions are asked in it, in the collection's order; "" last."""
    counts = Counter(language_of(one, languages) for one in questions)
    return [(code, counts[code]) for code in (*languages, "") if counts[code]]


def measure(
    user: User, collection: Collection, legs: Iterable[Leg], language: str | None = None
) -> list[Measures]:
    """Of the saved questions whose place is known, in one language or (None) all, the newest
    MOST_QUESTIONS.
    """
    rows = list_measuring(collection)
    asked = [one for one in rows if language in (None, language_of(one, collection.languages))]
    questions = asked[:MOST_QUESTIONS]
    return [_measure_one(user, collection, leg, questions) for leg in legs] if questions else []


def _measure_one(
    user: User, collection: Collection, leg: Leg, questions: Sequence[SavedQuestion]
) -> Measures:
    ranks: list[int | None] = []
    problem, was_asked = "", False
    ends_s = time.monotonic() + LONGEST_S
    for question in questions:
        if time.monotonic() > ends_s:
            told = _("It took too long: the newest %(count)d questions were asked.")
            problem = problem or str(told) % {"count": len(ranks)}
            break
        column = _ask_one(user, collection, question.text, leg, MEASURED)
        problem = problem or column.problem
        was_asked = was_asked or bool(column.hits) or not column.problem
        ranks.append(rank_of(question, column.hits))
    label = str(LEGS[leg])
    if not was_asked:
        return Measures(label, None, None, None, len(ranks), problem)
    by_language: dict[str, list[int | None]] = {}
    for question, rank in zip(questions, ranks, strict=False):
        by_language.setdefault(language_of(question, collection.languages), []).append(rank)
    parts = [
        _sum_up(name_language(code), by_language[code])
        for code in (*collection.languages, "")
        if code in by_language
    ]
    return replace(_sum_up(label, ranks), problem=problem, parts=parts if len(parts) > 1 else ())


def _sum_up(label: str, ranks: Sequence[int | None]) -> Measures:
    return Measures(
        label,
        recall=fmean(rank is not None for rank in ranks),
        mrr=fmean(1 / rank if rank else 0.0 for rank in ranks),
        ndcg=fmean(1 / math.log2(1 + rank) if rank else 0.0 for rank in ranks),
        question_count=len(ranks),
    )


def rank_of(question: SavedQuestion, hits: Sequence[Hit]) -> int | None:
    """Of the first passage that holds the answer, from 1."""
    for rank, hit in enumerate(hits, start=1):
        if hit.document_id != question.document_id:
            continue
        if question.char_from is None or question.char_to is None:
            return rank
        if hit.char_from < question.char_to and hit.char_to > question.char_from:
            return rank
    return None
