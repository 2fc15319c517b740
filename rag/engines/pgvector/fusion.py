"""Two rankings into one: a weighted sum of both scores, each brought to 0–1: of words from their own zero to
the best, of vectors, whose zero says nothing, from the worst candidate to the best.

Ranks alone (RRF) would let an embedder that does not know the language pull good finds down: measured in
decision 27. What the words count is kept per generation and language; `calibrate` finds it.
"""

from collections.abc import Callable, Mapping, Sequence

UNCHECKED = 0.7  # what the words count as long as nobody has looked how good the vectors are
# from this share of finds by vectors on, the words count so much; single signs and pairs of them tell more in
# Chinese than stems do elsewhere
TRUST = ((0.9, 0.4), (0.6, 0.7), (0.0, 1.0))
TRUST_OF = {"zh": ((0.9, 0.5), (0.6, 0.7), (0.0, 1.0))}


def spread(scores: Mapping[int, float], low: float | None = None) -> dict[int, float]:
    """The best is 1, `low` or the worst 0."""
    if not scores:
        return {}
    low, high = min(scores.values()) if low is None else low, max(scores.values())
    if high <= low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def fuse(
    words: Mapping[int, float], vectors: Sequence[Mapping[int, float]], weight_of: Callable[[int], float]
) -> list[tuple[int, float]]:
    """Chunk ids with their scores, the best first. `vectors` are one ranking for each embedding model, over
    different chunks. What one of both did not find counts as its worst.
    """
    by_words = spread(words, 0.0)
    by_vectors = {key: score for ranking in vectors for key, score in spread(ranking).items()}
    if not by_vectors or not by_words:
        found = by_words or by_vectors
    else:
        found = {}
        for key in {*by_words, *by_vectors}:
            weight = weight_of(key)
            found[key] = weight * by_words.get(key, 0.0) + (1 - weight) * by_vectors.get(key, 0.0)
    return sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))


def weigh(ranks: Sequence[int | None], depth: int = 10, language: str = "") -> float:
    """What the words should count, from the ranks (0 is the first) at which vectors alone found the passages
    that pseudo questions were made of. Words find their own sentence nearly always: what must be tried is
    whether the vectors do.
    """
    share = sum(rank is not None and rank < depth for rank in ranks) / max(len(ranks), 1)
    return next(weight for least, weight in TRUST_OF.get(language, TRUST) if share >= least)
