"""What an engine of collections does, whichever it is: it keeps an index of parsed documents and searches it.

The rooms above speak to this interface. `engine_of` gives the engine that a collection names, `engines_in`
those that hold an index of it: while it moves from one to another, both. Some engines index the blocks that
we parsed, at once; others take the file (`takes_files`), and the document is ready when they say so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from django.db.models import QuerySet

from rag.models import Collection, Document
from rag.parsed import ParsedBlock

Leg = Literal["both", "words", "vectors"]
AWAY = "engine_away"  # its server does not answer: what is here was searched by words


def say_nothing(why: str, collections: Sequence[UUID]) -> None:
    """Nobody asks."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched, and where: `collections` is a query that the engine takes into its own, so that who
    may read what is decided before anything is ranked.
    """

    text: str
    collections: QuerySet[Collection]
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)  # embedding model → the question's
    count: int = 10
    metadata: Mapping[str, object] = field(default_factory=dict)  # what a document's properties must contain
    document_ids: Sequence[UUID] | None = None  # None: all; empty: none
    leg: Leg = "both"
    follows_names: bool = True  # the graph, where the collection wants it
    # told of what could not be searched as it should be: why, and in which collections
    note: Callable[[str, Sequence[UUID]], None] = say_nothing


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, with where it stands. `score` is from 0 to 1, comparable within an answer."""

    chunk_id: int
    document_id: UUID
    collection_id: UUID
    title: str
    text: str
    headings: tuple[str, ...]
    page_from: int | None
    page_to: int | None
    char_from: int
    char_to: int
    score: float
    word_score: float  # BM25
    similarity: float | None  # cosine; None: no vector
    names: tuple[str, ...] = ()  # that led here from better finds


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How far a collection's index is."""

    chunk_count: int
    vector_count: int
    wants_vectors: bool

    @property
    def is_complete(self) -> bool:
        return not self.wants_vectors or self.vector_count >= self.chunk_count


class Engine(Protocol):
    takes_files: bool

    def create(self, collection: Collection) -> None:
        """Make the collection's index, empty. Again changes nothing."""

    def ingest(self, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]) -> int:
        """Index these documents, all or none, in place of what they had. Gives the number of chunks. An
        engine that takes files orders the work of handing them over; blocks say what we could read of them.
        """

    def status(self, collection: Collection) -> IndexStatus: ...

    def search(self, question: Question) -> list[Hit]:
        """The best passages, the best first."""

    def delete(self, documents: Sequence[Document]) -> None:
        """Remove all that the index holds of these documents."""

    def drop(self, collection: Collection) -> None:
        """Remove all that the index holds of a collection."""
