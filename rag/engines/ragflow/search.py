"""A search at RAGFlow. It decides nothing about rights: it is asked for the datasets of collections that the
asker may read, and each chunk that comes back must be one of our copy, in the index that answers, of a
document that fits. RAGFlow's filter by properties gives everything where nothing fits, so that documents are
named by their ids instead; where none is left, it is not asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput
from rag.engines import AWAY, Hit, Question
from rag.engines.pgvector import PgvectorEngine
from rag.engines.pgvector.fusion import spread
from rag.engines.ragflow import account as accounts
from rag.engines.ragflow.errors import DATA, MISSING, RagflowError
from rag.engines.ragflow.remote import RemoteHit
from rag.models import Chunk, Collection, Generation, RagflowAccount, RagflowDocument

MAX_COUNT = 100
MAX_QUESTION = 2_000  # characters that are looked at
WEIGHTS = {"both": 0.3, "words": 0.0, "vectors": 1.0}  # what vectors count; .3 is RAGFlow's own
SPARE = 2  # times as many are fetched: some may not be the asker's
STALE = (DATA, MISSING)


def search(question: Question, copy: PgvectorEngine) -> list[Hit]:
    """The best passages, the best first: RAGFlow's, or by words from the copy where it is away; that is
    noted. Raises InvalidInput.
    """
    if not 1 <= question.count <= MAX_COUNT:
        raise InvalidInput(
            _("From 1 to %(limit)d passages can be asked for.") % {"limit": MAX_COUNT}, param="count"
        )
    indexes = _find_indexes(question)
    documents = _allowed(question, indexes)
    if not indexes or not documents.exists():
        return []
    account = accounts.find_account()
    if account is None or accounts.is_known_away(account):
        return _fall_back(question, copy, list(indexes.values()))
    try:
        found, left_out = _ask(account, question, indexes, documents)
    except RagflowError as exc:
        if exc.is_away:
            accounts.note_away(account, exc)
        return _fall_back(question, copy, list(indexes.values()))
    hits = _check(found, question, indexes, documents)
    return hits + (_fall_back(question, copy, left_out) if left_out else [])


def _find_indexes(question: Question) -> dict[str, Generation]:
    """By RAGFlow's dataset: those that answer."""
    rows = Generation.objects.defer("lexicon").filter(
        engine=Collection.Engine.RAGFLOW,
        pk__in=question.collections.order_by().values("active_generation"),
    )
    return {row.remote_id: row for row in rows if row.remote_id}


def _allowed(question: Question, indexes: Mapping[str, Generation]) -> QuerySet[RagflowDocument]:
    rows = RagflowDocument.objects.filter(generation__in=[row.pk for row in indexes.values()])
    if question.metadata:
        rows = rows.filter(document__metadata__contains=dict(question.metadata))
    if question.document_ids is not None:
        rows = rows.filter(document__in=list(question.document_ids))
    return rows


def _ask(
    account: RagflowAccount,
    question: Question,
    indexes: Mapping[str, Generation],
    documents: QuerySet[RagflowDocument],
) -> tuple[list[RemoteHit], list[Generation]]:
    """What RAGFlow found, and the indexes that it would not search. Datasets of several embedding models, or
    one that is gone, it refuses together: then each is asked for by itself.
    """
    narrowed = bool(question.metadata) or question.document_ids is not None
    ids = [pk for row in documents for pk in (row.remote_id, row.earlier_id) if pk] if narrowed else None
    datasets = list(
        Generation.objects.filter(pk__in=documents.values("generation")).values_list("remote_id", flat=True)
    )
    text, count = question.text[:MAX_QUESTION], min(SPARE * question.count, MAX_COUNT)
    weight = WEIGHTS[question.leg]
    with accounts.open_ragflow(account, accounts.SEARCHING) as ragflow:
        try:
            return ragflow.retrieve(text, datasets, ids, count, weight), []
        except RagflowError as exc:
            if exc.code not in STALE or len(datasets) == 1:
                raise
        found: list[RemoteHit] = []
        left_out: list[Generation] = []
        for dataset in datasets:
            try:
                found += ragflow.retrieve(text, [dataset], ids, count, weight)
            except RagflowError as exc:
                if exc.code not in STALE:
                    raise
                left_out.append(indexes[dataset])
        return found, left_out


def _check(
    found: Sequence[RemoteHit],
    question: Question,
    indexes: Mapping[str, Generation],
    documents: QuerySet[RagflowDocument],
) -> list[Hit]:
    """Of what came back, that which the asker may read; scores from 0 to 1, the best is 1."""
    allowed = {
        (row.generation_id, remote_id): row.document_id
        for row in documents
        for remote_id in (row.remote_id, row.earlier_id)
        if remote_id
    }
    chunks = {
        (row.generation_id, row.remote_id): row
        for row in Chunk.objects.filter(
            remote_id__in=[one.id for one in found], generation__in=[row.pk for row in indexes.values()]
        ).select_related("document")
    }
    kept = {}
    for one in found:
        index = indexes.get(one.dataset_id)
        chunk = chunks.get((index.pk, one.id)) if index else None
        if index and chunk and allowed.get((index.pk, one.document_id)) == chunk.document_id:
            kept[chunk.pk] = (one, chunk, index)
    scores = spread({pk: one.score for pk, (one, _chunk, _index) in kept.items()})
    hits = [_hit(chunk, one, index, scores[pk]) for pk, (one, chunk, index) in kept.items()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[: question.count]


def _hit(chunk: Chunk, one: RemoteHit, index: Generation, score: float) -> Hit:
    return Hit(
        chunk_id=chunk.pk,
        document_id=chunk.document_id,
        collection_id=index.collection_id,
        title=chunk.document.title,
        text=chunk.text,
        headings=tuple(chunk.headings),
        page_from=chunk.page_from,
        page_to=chunk.page_to,
        char_from=chunk.char_from,
        char_to=chunk.char_to,
        score=score,
        word_score=one.word_score,
        similarity=one.similarity,
    )


def _fall_back(question: Question, copy: PgvectorEngine, indexes: Sequence[Generation]) -> list[Hit]:
    here = [row.collection_id for row in indexes]
    question.note(AWAY, tuple(here))
    return copy.search(replace(question, collections=question.collections.filter(pk__in=here), leg="words"))
