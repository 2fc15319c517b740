"""How good a search is: sets of passages, questions and which passages answer them, and the usual measures.

A set is a folder in BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`; also compressed). Each
passage becomes a document, indexed and searched as any other: what is measured is what people get.
"""

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import mean

from rag.engines import Leg, Question
from rag.engines.pgvector import PgvectorEngine
from rag.engines.pgvector.calibration import calibrate
from rag.engines.pgvector.generations import keep_vectors, list_wanting
from rag.models import Collection, Document, Generation
from rag.parsed import ParsedBlock
from rag.services import add_document, create_collection, index_documents

MODEL, DIMENSIONS, DEPTH = "multilingual-e5-small", 384, 10
# name → what is asked, and whether names are followed from the best finds (rag.graph)
LEGS: dict[str, tuple[Leg, bool]] = {
    "words": ("words", False),
    "vectors": ("vectors", False),
    "fused": ("both", False),
    "graph": ("both", True),
}
Embed = Callable[[Sequence[str], str], Sequence[Sequence[float]]]  # texts, "query" or "passage"
Rankings = dict[str, list[str]]  # question → passages, the best first


@dataclass(frozen=True)
class TestSet:
    """`gold`: question → the passages that answer it."""

    __test__ = False
    name: str
    language: str
    passages: Mapping[str, tuple[str, str]]  # id → title, text
    questions: Mapping[str, str]
    gold: Mapping[str, frozenset[str]]


def read_set(folder: Path) -> TestSet:
    gold: dict[str, set[str]] = {}
    for line in list(_lines(folder / "qrels.tsv"))[1:]:
        question, passage, score = line.split("\t")
        if int(score) > 0:
            gold.setdefault(question, set()).add(passage)
    passages = [json.loads(line) for line in _lines(folder / "corpus.jsonl")]
    questions = [json.loads(line) for line in _lines(folder / "queries.jsonl")]
    return TestSet(
        folder.name,
        passages[0]["lang"],
        {row["_id"]: (row.get("title", ""), row["text"]) for row in passages},
        {row["_id"]: row["text"] for row in questions if row["_id"] in gold},
        {question: frozenset(found) for question, found in gold.items()},
    )


def _lines(path: Path) -> Iterator[str]:
    packed = path.with_name(f"{path.name}.gz")
    text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else path.read_text()
    return (line for line in text.split("\n") if line)


def fill(test_set: TestSet, embed: Embed | None, languages: Sequence[str] = ()) -> Collection:
    """A collection of the set's passages, with their vectors; None: without any."""
    model = {"embedding_model": MODEL, "dimensions": DIMENSIONS} if embed else {}
    languages = list(languages) or [test_set.language]
    collection = create_collection(actor=None, name=test_set.name, languages=languages, **model)
    rows = list(test_set.passages.items())
    for begin in range(0, len(rows), 200):
        parsed: dict[Document, list[ParsedBlock]] = {}
        for passage, (title, text) in rows[begin : begin + 200]:
            content_hash = hashlib.sha256(f"{passage} {text}".encode()).hexdigest()
            document, _is_new = add_document(
                actor=None, collection=collection, title=title, address=passage, content_hash=content_hash
            )
            parsed[document] = [ParsedBlock(text, char_to=len(text))]
        index_documents(collection=collection, parsed=parsed)
    generation = Generation.objects.get(pk=collection.active_generation_id)
    if embed is None:
        return collection
    while wanting := list_wanting(generation):
        vectors = embed([text for _chunk, text in wanting], "passage")
        keep_vectors(generation.pk, zip([chunk for chunk, _text in wanting], vectors, strict=True))
    calibrate(generation, lambda texts: embed(texts, "query"))
    return collection


def rank(
    test_set: TestSet, collection: Collection, embed: Embed | None, legs: Sequence[str] = tuple(LEGS)
) -> dict[str, Rankings]:
    """Of each of these legs; fused without vectors is the words."""
    engine, passage_of = PgvectorEngine(), dict(collection.documents.values_list("pk", "address"))
    asked = list(test_set.questions.values())
    found_vectors = embed(asked, "query") if embed else [()] * len(asked)
    vectors = dict(zip(test_set.questions, found_vectors, strict=True))
    found: dict[str, Rankings] = {name: {} for name in legs}
    here = Collection.objects.filter(pk=collection.pk)
    for key, text in test_set.questions.items():
        for name in legs:
            leg, follows = LEGS[name]
            known = {MODEL: vectors[key]} if embed else {}
            hits = engine.search(Question(text, here, known, count=3 * DEPTH, leg=leg, follows_names=follows))
            found[name][key] = list(dict.fromkeys(passage_of[hit.document_id] for hit in hits))[:DEPTH]
    return found


def ndcg(ranking: Sequence[str], gold: frozenset[str]) -> float:
    best = sum(1 / log2(place + 2) for place in range(min(DEPTH, len(gold))))
    return sum(1 / log2(place + 2) for place, found in enumerate(ranking) if found in gold) / best


def reciprocal_rank(ranking: Sequence[str], gold: frozenset[str]) -> float:
    return next((1 / place for place, found in enumerate(ranking, 1) if found in gold), 0.0)


def recall(ranking: Sequence[str], gold: frozenset[str]) -> float:
    return len(gold.intersection(ranking)) / len(gold)


def all_gold(ranking: Sequence[str], gold: frozenset[str]) -> float:
    return float(gold <= set(ranking))


MEASURES: dict[str, Callable[[Sequence[str], frozenset[str]], float]] = {
    "nDCG@10": ndcg,
    "MRR@10": reciprocal_rank,
    "recall@10": recall,
    "all-gold@10": all_gold,
}


def score(test_set: TestSet, rankings: Rankings, measure: str) -> list[float]:
    """One figure a question."""
    return [MEASURES[measure](rankings[key], test_set.gold[key]) for key in test_set.questions]


def gains(test_set: TestSet, rankings: Mapping[str, Rankings], measure: str) -> list[float]:
    """What following names adds, question by question."""
    after, before = (score(test_set, rankings[leg], measure) for leg in ("graph", "fused"))
    return [one - other for one, other in zip(after, before, strict=True)]


def interval(figures: Sequence[float], rounds: int = 1000) -> tuple[float, float]:
    """Where the mean lies with 95 %, by bootstrap (Efron 1979)."""
    chance = random.Random(1)
    means = sorted(mean(chance.choices(figures, k=len(figures))) for _round in range(rounds))
    return means[round(rounds * 0.025)], means[round(rounds * 0.975) - 1]
