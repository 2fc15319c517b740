"""The graph of a collection: names, which passages say them, and which names stand together in a passage.

The index writes it with its passages, in the same transaction, and removes it with them (`Graph`). A search
follows it from its best finds (`Graph.reach`) and shows it (`shown`). PostgreSQL keeps it (decision 32);
another store would be another `Graph`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from rag.models import Chunk

# Runs a statement behind one that says which generations may be read (`readable`); {filter} in it leaves
# only rows `row` whose passages a question may find. Statement, parameters, row → rows
Fetch = Callable[[str, list[Any], str], list[tuple]]


@dataclass(frozen=True, slots=True)
class Reached:
    """A passage that shares names with the best finds. `names`: those that lead there, the rarest first."""

    chunk_id: int
    weight: float
    names: tuple[str, ...]


class Graph(Protocol):
    def add(self, generation_id: int, chunks: Iterable[Chunk], titles: Mapping[UUID, str]) -> None:
        """The names of passages that stand in the database; `titles` by document."""

    def remove(self, chunk_ids: Sequence[int]) -> None:
        """All that these passages are evidence of, and the names that no other passage says."""

    def forget(self, generation_id: int) -> None:
        """All of a generation."""

    def reach(self, fetch: Fetch, seeds: Mapping[int, float]) -> list[Reached]:
        """What lies one name away from these passages, of collections that want it: by passage → score."""
