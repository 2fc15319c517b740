"""Which of some languages a text is written in: by its script, else by its most frequent words."""

import re
from collections.abc import Sequence

from foundation.language.stop_words import STOP_WORDS

LANGUAGES = ("en", "de", "zh")
# what is written without spaces between words: Han, kana, Hangul
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_unspaced = re.compile(f"[{UNSPACED}]")
_words = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SAMPLE = 4000  # characters that are looked at


def detect_language(text: str, among: Sequence[str] = LANGUAGES) -> str:
    """One of `among`, or "" where nothing tells: no frequent word of just one of them stands in the text."""
    sample = text[:SAMPLE]
    words = _words.findall(_unspaced.sub(" ", sample).casefold())
    if "zh" in among and len(_unspaced.findall(sample)) > 2 * len(words):
        return "zh"
    hits = {
        language: sum(word in STOP_WORDS[language] for word in words)
        for language in among
        if language in STOP_WORDS
    }
    most = max(hits.values(), default=0)
    found = [language for language, count in hits.items() if count == most]
    if most and len(found) == 1:
        return found[0]
    return among[0] if len(among) == 1 else ""
