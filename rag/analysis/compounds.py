"""German compounds, taken apart by the words of the collection itself: “Ladebereitschaft” is also found as
“laden” and “Bereitschaft”, where the collection uses these.

A split is chosen by how often its parts occur (Koehn and Knight 2003, “Empirical Methods for Compound
Splitting”, section 4.1): the geometric mean of the parts' counts. Does not cover parts that nowhere occur as
a word of their own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import log

LINKS = ("", "s", "es", "n", "en", "er", "e")  # what may stand between two parts
LINKS_BY_END = {end: [link for link in LINKS if not link or link[-1] == end] for end in "snre"}
MIN_PART, MIN_COUNT, MAX_PARTS, MAX_LENGTH = 4, 2, 4, 60


@dataclass(frozen=True)
class Lexicon:
    """The stems of a collection's German words: in how many chunks each occurs. Those that occur once say
    nothing: they are most often compounds themselves, or slips.
    """

    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def learn(cls, chunks: Iterable[Iterable[str]]) -> "Lexicon":
        """From the stems of each chunk."""
        counts: Counter[str] = Counter()
        for chunk in chunks:
            counts.update(set(chunk))
        return cls({stem: count for stem, count in counts.items() if count >= MIN_COUNT})


def split_compound(word: str, lexicon: Lexicon, stem: Callable[[str], str]) -> tuple[str, ...]:
    """The stems of the parts of a casefolded word, or () where it is none of the lexicon's compounds."""
    if not lexicon.counts or not 2 * MIN_PART <= len(word) <= MAX_LENGTH:
        return ()
    found = _Splitter(word, lexicon.counts, stem).split(0, MAX_PARTS)
    whole = stem(word)
    return tuple(part for part in found[1] if part != whole) if found else ()


Split = tuple[float, tuple[str, ...]]  # the mean logarithm of the parts' counts, and the parts


class _Splitter:
    """The splits of one word; each end of it is looked at once for each number of parts."""

    def __init__(self, word: str, counts: Mapping[str, int], stem: Callable[[str], str]) -> None:
        self.word = word
        self.counts = counts
        self.stem = stem
        self._known: dict[tuple[int, int], Split | None] = {}
        self._heads: dict[tuple[int, int], Split | None] = {}

    def split(self, begin: int, most: int) -> Split | None:
        """The likeliest split of what begins here into two to `most` parts."""
        key = (begin, most)
        if key not in self._known:
            self._known[key] = self._split(begin, most)
        return self._known[key]

    def _split(self, begin: int, most: int) -> Split | None:
        best: Split | None = None
        for end in range(len(self.word) - MIN_PART, begin + MIN_PART - 1, -1):
            head = self._head(begin, end)
            tail = self._tail(end, most - 1) if head else None
            if head is None or tail is None:
                continue
            parts = (*head[1], *tail[1])
            score = (head[0] + tail[0] * len(tail[1])) / len(parts)
            if best is None or score > best[0]:
                best = (score, parts)
        return best

    def _tail(self, begin: int, most: int) -> Split | None:
        """What begins here, whole or split, whichever is likelier."""
        stem = self.stem(self.word[begin:])
        count = self.counts.get(stem, 0)
        whole = (log(count), (stem,)) if count else None
        split = self.split(begin, most) if most > 1 else None
        if whole is None or split is None:
            return whole or split
        return whole if whole[0] >= split[0] else split

    def _head(self, begin: int, end: int) -> Split | None:
        """The likeliest word between these places that ends in one of the links."""
        key = (begin, end)
        if key not in self._heads:
            text = self.word[begin:end]
            best = (0, "")
            for link in LINKS_BY_END.get(text[-1], LINKS[:1]):
                if text.endswith(link) and len(text) - len(link) >= MIN_PART:
                    stem = self.stem(text.removesuffix(link))
                    best = max(best, (self.counts.get(stem, 0), stem))
            self._heads[key] = (log(best[0]), (best[1],)) if best[0] else None
        return self._heads[key]
