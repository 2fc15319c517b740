"""How far the index of a collection is."""

from dataclasses import dataclass

from rag.models import Collection, Generation
from rag.progress import describe_collection


@dataclass(frozen=True, slots=True)
class Index:
    """`next_percent`: of the index that is being made beside it; None: there is none. `problem`: why it does
    not go on for now.
    """

    chunk_count: int
    vector_count: int
    embedding_model: str
    next_percent: int | None
    problem: str = ""

    @property
    def wants_vectors(self) -> bool:
        return bool(self.embedding_model)

    @property
    def is_settled(self) -> bool:
        return self.next_percent is None and not (self.wants_vectors and self.percent < 100)

    @property
    def percent(self) -> int:
        return 100 * self.vector_count // self.chunk_count if self.chunk_count else 100


def describe_index(collection: Collection) -> Index:
    rows = list(Generation.objects.filter(collection=collection).defer("lexicon", "weights"))
    active = next((row for row in rows if row.pk == collection.active_generation_id), None)
    following = max((row for row in rows if row is not active), key=lambda row: row.pk, default=None)
    if active is None:
        return Index(0, 0, "", None)
    is_newer = following is not None and following.pk > active.pk
    return Index(
        active.chunk_count,
        active.vector_count,
        active.embedding_model if active.dimensions is not None else "",
        _share(following, active) if is_newer and following is not None else None,
        describe_collection(collection).problem,
    )


def _share(following: Generation, active: Generation) -> int:
    """Passages count one half, their vectors the other."""
    total = max(active.chunk_count, following.chunk_count, 1)
    done = following.chunk_count / total
    if following.dimensions is not None:
        done = (done + following.vector_count / total) / 2
    return int(100 * min(done, 1))
