"""The best of a fused ranking once more, by the letters that they share with the question: parts of four
letters of its words, pairs of signs in Chinese. Parts of German compounds that nowhere occur as words, other
endings and slips are found so. Each part counts the more, the fewer of these passages have it.

It costs no index: only the texts of the best are looked at, which a search reads anyway.
"""

import re
from collections.abc import Mapping, Sequence
from math import log

from foundation.language.detection import UNSPACED
from foundation.language.stop_words import STOP_WORDS
from rag.analysis import LANGUAGES
from rag.analysis.analyzer import fold

LOOKED_AT = 20  # of the best
SHARE = 1 / 6  # of the score; fusion has the rest
LETTERS, SIGNS = 4, 2
MOST_PARTS = 300  # of a question
_word = re.compile(rf"[{UNSPACED}]+|(?:(?![{UNSPACED}])[^\W_])+")
_unspaced = re.compile(f"[{UNSPACED}]")


def list_parts(question: str, language: str) -> list[str]:
    """Each once. Without a language, no language's frequent words are looked at."""
    known = [STOP_WORDS.get(one, frozenset()) for one in ([language] if language else LANGUAGES)]
    parts: dict[str, None] = {}
    for word in _word.findall(fold(question)):
        if any(word in words for words in known):
            continue
        size = SIGNS if _unspaced.match(word) else LETTERS
        parts |= dict.fromkeys(word[at : at + size] for at in range(max(1, len(word) - size + 1)))
    return list(parts)[:MOST_PARTS]


def rank_by_letters(
    question: str, language: str, ranking: Sequence[tuple[int, float]], texts: Mapping[int, str]
) -> list[tuple[int, float]]:
    """The ranking with its first ones in their new order; `texts` are theirs."""
    looked_at = [(key, score) for key, score in ranking[:LOOKED_AT] if key in texts]
    parts = list_parts(question, language)
    if len(looked_at) < 2 or not parts:
        return list(ranking)
    folded = [fold(texts[key]) for key, _score in looked_at]
    weights = {part: _weigh(sum(part in text for text in folded), len(folded)) for part in parts}
    shares = [sum(weight for part, weight in weights.items() if part in text) for text in folded]
    most = max(shares) or 1.0
    ranked = [
        (key, (1 - SHARE) * score + SHARE * share / most)
        for (key, score), share in zip(looked_at, shares, strict=True)
    ]
    rest = [(key, (1 - SHARE) * score) for key, score in ranking[LOOKED_AT:]]
    return sorted(ranked, key=lambda entry: (-entry[1], entry[0])) + rest


def _weigh(count: int, total: int) -> float:
    return log(1 + (total - count + 0.5) / (count + 0.5))
