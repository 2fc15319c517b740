"""A search: candidates by words and by vectors, fused, with what is shown of them."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from threading import Lock

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput
from rag.analysis import Analyzer, Lexicon, detect_language
from rag.engines import Hit, Question
from rag.engines.pgvector import statements
from rag.engines.pgvector.fusion import UNCHECKED, fuse
from rag.engines.pgvector.generations import graph
from rag.engines.pgvector.letters import LOOKED_AT, rank_by_letters
from rag.engines.pgvector.statements import CANDIDATES, Where
from rag.engines.pgvector.vectors import EXACT_ROWS, write_vector
from rag.engines.pgvector.words import number_of
from rag.graph import following
from rag.models import Generation
from tenants.context import scope_label

MAX_COUNT = 100
MAX_QUESTION = 2_000  # characters that are looked at
KEPT_ANALYZERS = 100

Ranking = list[tuple[int, float]]  # chunks and their scores, the best first
_analyzers: OrderedDict[tuple[str, int, int], Analyzer] = OrderedDict()
_reading = Lock()  # of the analyzers, which are not for several threads


@dataclass(frozen=True, slots=True)
class Found:
    """What the legs found, by chunk: BM25, the cosines of each embedding model, the generation."""

    words: dict[int, float]
    similarities: list[dict[int, float]]
    origin: dict[int, int]


@transaction.atomic
def search(question: Question) -> list[Hit]:
    """The best passages, the best first; none where nothing matches. Raises InvalidInput."""
    if not 1 <= question.count <= MAX_COUNT:
        raise InvalidInput(
            _("From 1 to %(limit)d passages can be asked for.") % {"limit": MAX_COUNT}, param="count"
        )
    question = replace(question, text=question.text[:MAX_QUESTION])
    try:
        where = Where.of(question)
    except EmptyResultSet:
        return []
    if where.chunk_ids == []:
        return []
    generations = _list_generations(question)
    found = _find(question, generations, where)
    ranking, rows = _rank(question, generations, found, where)
    ranking, ways = _follow_names(question, ranking, where)
    ranking = ranking[: question.count]
    rows |= _read_rows([entry for entry in ranking if entry[0] not in rows], where)
    hits = _show(ranking, found, rows)
    return [replace(hit, names=ways.get(hit.chunk_id, ())) for hit in hits]


def _list_generations(question: Question) -> dict[int, Generation]:
    """Those that answer, by their ids."""
    rows = Generation.objects.filter(pk__in=question.collections.values("active_generation"))
    return {row.pk: row for row in rows.select_related("collection").defer("lexicon")}


def _find(question: Question, generations: Mapping[int, Generation], where: Where) -> Found:
    words = [] if question.leg == "vectors" else _find_by_words(question, generations.values(), where)
    vectors = [] if question.leg == "words" else _find_by_vectors(question, generations.values(), where)
    return Found(
        words={chunk: score for chunk, _generation, score in words},
        similarities=[{chunk: score for chunk, _generation, score in rows} for rows in vectors],
        origin={chunk: generation for rows in (words, *vectors) for chunk, generation, _score in rows},
    )


def _rank(
    question: Question, generations: Mapping[int, Generation], found: Found, where: Where
) -> tuple[Ranking, dict[int, tuple]]:
    """The ranking of both legs, and the rows of its beginning."""
    language = detect_language(question.text, _languages_of(generations.values()))

    def weight_of(chunk_id: int) -> float:
        weights = generations[found.origin[chunk_id]].weights
        return weights.get(language) or fmean(weights.values() or [UNCHECKED])

    ranking = fuse(found.words, found.similarities, weight_of)
    rows = _read_rows(ranking[: max(question.count, LOOKED_AT)], where)
    if found.words and found.similarities:
        texts = {key: "\n".join([row[3], *row[5], row[4]]) for key, row in rows.items()}
        ranking = rank_by_letters(question.text, language, ranking, texts)
    return ranking, rows


def _follow_names(
    question: Question, ranking: Ranking, where: Where
) -> tuple[Ranking, Mapping[int, tuple[str, ...]]]:
    """The ranking with what the graph adds, and the names that led there."""
    if not question.follows_names or question.count <= following.KEPT:
        return ranking, {}
    return following.insert(ranking, graph.reach(where.fetch_of, dict(ranking[: following.KEPT])))


def _languages_of(generations: Iterable[Generation]) -> list[str]:
    return list(dict.fromkeys(language for row in generations for language in row.collection.languages))


def _find_by_words(question: Question, generations: Iterable[Generation], where: Where) -> list[tuple]:
    terms = dict.fromkeys(
        term for row in generations for term in _read(question.text, row, row.collection.languages)
    )
    if not terms:
        return []
    limit = max(CANDIDATES, question.count)
    params = statements.words_params([number_of(term) for term in terms], limit)
    return where.fetch(statements.WORDS, params, row="p")


def _read(text: str, generation: Generation, languages: Sequence[str]) -> list[str]:
    """The question's terms as this generation's analyzer reads them."""
    key = (scope_label(), generation.pk, generation.lexicon_chunks)
    with _reading:
        analyzer = _analyzers.get(key)
        if analyzer is None:
            analyzer = Analyzer(Lexicon(generation.lexicon), generation.analyzer_version)
            _analyzers[key] = analyzer
            if len(_analyzers) > KEPT_ANALYZERS:
                _analyzers.popitem(last=False)
        _analyzers.move_to_end(key)
        return analyzer.list_question_terms(text, languages)


def _find_by_vectors(
    question: Question, generations: Iterable[Generation], where: Where
) -> list[list[tuple]]:
    """One list for each embedding model: similarities of two cannot be compared."""
    found = []
    for model, vector in question.vectors.items():
        rows = [row for row in generations if row.embedding_model == model and row.vector_count]
        if not rows:
            continue
        dimensions = len(vector)
        if any(row.dimensions != dimensions for row in rows):
            raise InvalidInput(_("The question's vector has another length than those of the collection."))
        asked, limit = write_vector(vector), max(CANDIDATES, question.count)
        if _are_many(rows, where, dimensions):
            with connection.cursor() as cursor:
                cursor.execute(statements.ITERATE)
            params = [model, asked, limit, asked, limit, limit]
            found.append(where.fetch(statements.GRAPH, params, dimensions=dimensions))
        else:
            found.append(where.fetch(statements.EXACT, [asked, model, limit], dimensions=dimensions))
    return found


def _are_many(rows: Sequence[Generation], where: Where, dimensions: int) -> bool:
    """Whether comparing all vectors that may be found would take too long."""
    if sum(row.vector_count for row in rows) <= EXACT_ROWS:
        return False
    if not where.is_filtered:
        return True
    return where.fetch(statements.COUNT_VECTORS, [EXACT_ROWS + 1], dimensions=dimensions)[0][0] > EXACT_ROWS


def _read_rows(ranking: Sequence[tuple[int, float]], where: Where) -> dict[int, tuple]:
    if not ranking:
        return {}
    return {row[0]: row for row in where.fetch(statements.HITS, [[chunk for chunk, _score in ranking]])}


def _show(ranking: Ranking, found: Found, rows: dict[int, tuple]) -> list[Hit]:
    similarities = {key: value for leg in found.similarities for key, value in leg.items()}
    hits = []
    for chunk, score in ranking:
        if row := rows.get(chunk):
            _id, document, collection, title, text, headings, *_span = row
            scores = (score, found.words.get(chunk, 0.0), similarities.get(chunk))
            place = (row[6], row[7], row[8], row[9])
            hits.append(Hit(chunk, document, collection, title, text, tuple(headings), *place, *scores))
    return hits
