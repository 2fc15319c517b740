"""What the graph adds to a ranking: passages that share names with its best ones, in the places behind these.

The best keep their places, so a question that one passage answers loses nothing that a reader sees first; one
that needs a second passage, which does not say the words of the question, finds it.
"""

from collections.abc import Mapping, Sequence

from rag.graph import Reached

KEPT = 5  # places that stay as they are; from these names are followed
ADDED = 5  # at most, behind them


def insert(
    ranking: Sequence[tuple[int, float]], reached: Sequence[Reached]
) -> tuple[list[tuple[int, float]], Mapping[int, tuple[str, ...]]]:
    """The ranking with them, and the names that led to each of those added. What the question itself found of
    them counts as well as the way there. Scores still fall from place to place.
    """
    scores = dict(ranking)
    best = sorted(reached, key=lambda one: (-(one.weight + scores.get(one.chunk_id, 0.0)), one.chunk_id))[
        :ADDED
    ]
    if not best:
        return list(ranking), {}
    names = {one.chunk_id: one.names for one in best}
    kept = list(ranking[:KEPT])
    rest = [(chunk_id, score) for chunk_id, score in ranking[KEPT:] if chunk_id not in names]
    high, low = kept[-1][1], rest[0][1] if rest else 0.0
    step = (high - low) / (len(best) + 1)
    added = [(one.chunk_id, high - step * place) for place, one in enumerate(best, 1)]
    return [*kept, *added, *rest], names
