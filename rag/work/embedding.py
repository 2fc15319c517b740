"""The work of a collection's vectors: batches through the gateway's pipeline, some under way at once.

What the words find does not wait for it. A model that is away, forbidden or too dear for now is asked again
later, and the collection says why meanwhile. It gives its place up after a while, so that other tenants come
to theirs.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from uuid import UUID

from django.db.models import Q

from foundation.errors import AtriumError, Conflict, InvalidInput, NotAllowed, NotFound, QuotaExceeded
from foundation.told import gettext as _
from gateway.vectors import Payer, Pending, Purpose, Vectors, start_embedding
from rag.engines.pgvector import generations
from rag.engines.pgvector.calibration import calibrate
from rag.engines.pgvector.vectors import take_into_graph
from rag.models import Chunk, Collection, Document, Generation
from rag.work.patience import write_alone
from rag.work.paying import Bringer, find_payer
from rag.work.slices import SLICE_S, work_off
from rag.work_names import EMBED, REBUILD
from tenants.work.runs import Run
from tenants.work.services import go_on_later, order

T = TypeVar("T")
SOURCE = "knowledge"  # on bills
BATCH = 128  # texts
DOCUMENTS_AT_ONCE = 10
ASK_AGAIN_S = 900  # where waiting helps, or somebody may change something
PAID_BY = [f"document__{name}" for name in ("created_by", "key_id", "project_id", "created_at")]
REFUSALS = (QuotaExceeded, NotAllowed, NotFound)  # to one payer: another may be served
LONG_TEXT = "context_length_exceeded"


class Later(AtriumError):
    """There are no vectors for now, and the model is asked again."""

    http_status = 503
    code = "later"


Refused = dict[Bringer, AtriumError]  # who cannot pay for now, and why


@dataclass(slots=True)
class Batch:
    pending: Pending
    payer: Payer
    bringer: Bringer
    chunk_ids: list[int]
    texts: list[str]


def embed(run: Run) -> None:
    """Raises Later, with the reason in words."""
    generation = _find(run.object_id)
    if generation is None or generation.dimensions is None:
        return
    try:
        is_done = _fill(run, generation)
        if is_done and _wants_weights(generation):
            _weigh(run, generation)
    except AtriumError as exc:
        pause_s = min(max(exc.retry_after_s or ASK_AGAIN_S, 60), ASK_AGAIN_S)
        raise Later(exc.message, code=exc.code, retry_after_s=pause_s) from exc
    if not is_done:
        return go_on_later(run)
    while taken := _take_into_graph(run, generation):
        run.progress("graph", taken, taken)
    write_alone(run, generation.collection_id, lambda: take_its_place(generation), run.conclusion)


def take_its_place(generation: Generation) -> None:
    """Let the collection's next index answer, where it is complete; else what it lacks is made first. With
    the collection locked.
    """
    collection = Collection.objects.get(pk=generation.collection_id)
    if collection.active_generation_id == generation.pk:
        return
    try:
        generations.switch(generation.pk)
    except Conflict:
        order(REBUILD, collection.pk, arguments={"generation": generation.pk})


def _find(generation_id: str) -> Generation | None:
    rows = Generation.objects.select_related("collection").defer("lexicon")
    return rows.filter(pk=int(generation_id)).first()


def _fill(run: Run, generation: Generation) -> bool:
    """Whether no chunk is without a vector now; False when its time was over before. Who cannot pay for now
    holds up nobody else's documents; what was refused to the first of them is raised when all others' are
    done.
    """
    refused: Refused = {}

    def begin(flying: Sequence[Batch]) -> Batch | None:
        return _start_next(generation, flying, refused)

    def land(batch: Batch) -> None:
        try:
            _land(run, generation, batch)
        except REFUSALS as exc:
            refused.setdefault(batch.bringer, exc)

    if work_off(begin, land) and refused:
        raise next(iter(refused.values()))
    return not generations.list_wanting(generation, 1)


def _start_next(generation: Generation, flying: Sequence[Batch], refused: Refused) -> Batch | None:
    """The next chunks that one payer pays for."""
    taken = {chunk_id for batch in flying for chunk_id in batch.chunk_ids}
    while True:
        without = _list_documents_of(generation, refused)
        wanting = generations.list_wanting(generation, BATCH + len(taken), without=without)
        rows = [row for row in wanting if row[0] not in taken][:BATCH]
        if not rows:
            return None
        bringers = _list_bringers(generation, [chunk_id for chunk_id, _text in rows])
        first = bringers[rows[0][0]]
        try:
            payer = _payer(generation, first)
        except NotAllowed as exc:
            refused[first] = exc
            continue
        rows = [row for row in rows if bringers[row[0]] == first]
        texts = [text for _chunk, text in rows]
        pending = start_embedding(payer, generation.embedding_model, texts, source=SOURCE)
        return Batch(pending, payer, first, [chunk_id for chunk_id, _text in rows], texts)


def _list_documents_of(generation: Generation, bringers: Iterable[Bringer]) -> list[UUID]:
    """Whose vectors one of these pays for in this index."""
    rows = Document.objects.filter(collection=generation.collection_id)
    ordered = Q(created_at__lte=generation.created_at) if generation.ordered_by else Q(pk=None)
    wanted = Q(pk=None)
    for one in bringers:
        wanted |= Q(created_by=one.user_id, key_id=one.key_id, project_id=one.project_id) & ~ordered
        if one == Bringer(generation.ordered_by):
            wanted |= ordered
    return list(rows.filter(wanted).values_list("pk", flat=True)) if bringers else []


def _land(run: Run, generation: Generation, batch: Batch) -> None:
    try:
        vectors = cast(Vectors, batch.pending.wait(run.check))
    except InvalidInput as exc:
        if exc.code != LONG_TEXT:
            raise
        vectors = _embed_shorter(run, generation, batch.payer, batch.texts)
    finally:
        run.spend(batch.pending.cost)
    rows = list(zip(batch.chunk_ids, vectors, strict=True))
    _write(run, generation, lambda: generations.keep_vectors(generation.pk, rows))
    generation.refresh_from_db(fields=["chunk_count", "vector_count"])
    run.progress("embed", min(generation.vector_count, generation.chunk_count), generation.chunk_count)


def _write(run: Run, generation: Generation, write: Callable[[], T]) -> T | None:
    return write_alone(run, generation.collection_id, write, run.step)


def _ask(run: Run, generation: Generation, payer: Payer, texts: Sequence[str], purpose: Purpose) -> Vectors:
    pending = start_embedding(payer, generation.embedding_model, texts, source=SOURCE, purpose=purpose)
    try:
        return cast(Vectors, pending.wait(run.check))
    finally:
        run.spend(pending.cost)


def _embed_shorter(run: Run, generation: Generation, payer: Payer, texts: Sequence[str]) -> Vectors:
    """One of them is too long for the model: that one is cut until it fits."""
    if len(texts) > 1:
        half = len(texts) // 2
        parts = [texts[:half], texts[half:]]
    else:
        parts = [[texts[0][: len(texts[0]) * 2 // 3]]]
    vectors: Vectors = []
    for part in parts:
        run.check()
        try:
            vectors += _ask(run, generation, payer, part, "passage")
        except InvalidInput as exc:
            if exc.code != LONG_TEXT or not part[0]:
                raise
            vectors += _embed_shorter(run, generation, payer, part)
    return vectors


def _list_bringers(generation: Generation, chunk_ids: Sequence[int]) -> dict[int, Bringer]:
    """By chunk: who brought its document, or who had the index made, where that came after the document."""
    rows = Chunk.objects.filter(pk__in=chunk_ids).select_related("document").only(*PAID_BY)
    return {row.pk: _bringer(generation, row.document) for row in rows}


def _bringer(generation: Generation, document: Document) -> Bringer:
    if generation.ordered_by and document.created_at <= generation.created_at:
        return Bringer(generation.ordered_by)
    return Bringer(document.created_by, document.key_id, document.project_id)


def _payer(generation: Generation, bringer: Bringer) -> Payer:
    """That person by that key, or whoever stands for one who has left. Raises NotAllowed where nobody
    does.
    """
    return find_payer(
        generation.collection,
        bringer,
        others=[generation.ordered_by],
        message=_("Nobody is known who pays for the vectors of these documents."),
    )


def _wants_weights(generation: Generation) -> bool:
    """At the first time, and whenever the collection has doubled."""
    return generation.vector_count >= max(1, 2 * generation.weighed_chunks)


def _weigh(run: Run, generation: Generation) -> None:
    payer = _payer(generation, Bringer(run.ordered_by or generation.ordered_by))
    calibrate(generation, lambda texts: _ask(run, generation, payer, texts, "query"))
    Generation.objects.filter(pk=generation.pk).update(weighed_chunks=generation.vector_count)


def _take_into_graph(run: Run, generation: Generation) -> int:
    with run.step():
        return take_into_graph(generation)


def rebuild(run: Run) -> None:
    """The work of another index: filled from the blocks that are kept, then its vectors, then its place."""
    generation = _find(str(run.arguments["generation"]))
    if generation is None:
        return
    ends_at, total = time.monotonic() + SLICE_S, generation.collection.documents.count()
    done = Chunk.objects.filter(generation=generation).values("document").distinct().count()
    while time.monotonic() < ends_at:
        run.progress("index", min(done, total), total)
        filled = _write(run, generation, lambda: generations.fill(generation.pk, DOCUMENTS_AT_ONCE))
        if not filled:
            break
        done += filled
    else:
        return go_on_later(run)
    write_alone(run, generation.collection_id, lambda: _go_on(run, generation), run.conclusion)


def _go_on(run: Run, generation: Generation) -> None:
    """What follows a filled index: its vectors, or its place."""
    generation.refresh_from_db(fields=["chunk_count", "vector_count"])
    if generation.dimensions is not None and generation.vector_count < generation.chunk_count:
        order(EMBED, str(generation.pk), ordered_by=run.ordered_by)
    else:
        take_its_place(generation)
