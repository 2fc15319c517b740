"""Questions the demo model cannot answer, and the honest sentence it says instead.

Patterns, topics, nouns, activities, instructions and statements are combined with made-up words and random
characters, so that "I have never seen this" becomes the signal. The last topics and patterns of each list are
held out of training and only used to measure.
"""

import random
from collections.abc import Callable

from .tables import load_table
from .tickets import draw_ticket

PHRASES = load_table("out_of_scope")
FALLBACKS: dict[str, str] = PHRASES["fallbacks"]
HELD_OUT_PATTERNS, HELD_OUT_TOPICS = 5, 12
# GB 2312 level 1, the common characters: 39 rows of 94.
HANZI = [bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF)]
ARTICLES = {"de": ("der", "die", "das", "ein", "eine", "mein", "meine", ""), "en": ("the", "a", "my", "")}
GENITIVES = {"de": " und ", "en": " of the ", "zh": "的"}


def draw_out_of_scope(rng: random.Random, language: str, split: str = "train") -> tuple[str, str]:
    """One question and the fallback in its language. `split` is `train` or `unseen` (held-out topics and
    patterns).
    """
    answer = FALLBACKS[language]
    if split == "unseen":
        patterns = PHRASES["patterns"][language][-HELD_OUT_PATTERNS:]
        topics = PHRASES["topics"][language][-HELD_OUT_TOPICS:]
        return _ask(rng, rng.choice(patterns), lambda: rng.choice(topics)), answer
    text = _draw_question(rng, language)
    return (_vary_case(rng, text) if rng.random() < 0.25 else text), answer


def make_up_text(rng: random.Random, language: str, sentences: int) -> str:
    """So many sentences without sense, about 25 tokens each."""
    if language == "zh":
        return "".join(_made_up_clause(rng) for _ in range(sentences))
    return " ".join(_made_up_sentence(rng, language) for _ in range(sentences))


def _draw_question(rng: random.Random, language: str) -> str:
    kind = rng.random()
    if kind < 0.50:
        return _ask(
            rng,
            rng.choice(PHRASES["patterns"][language][:-HELD_OUT_PATTERNS]),
            lambda: _draw_topic(rng, language),
        )
    if kind < 0.60:
        return _draw_topic(rng, language) + rng.choice(["", "", ".", "?", "!"])
    if kind < 0.70:
        pattern = rng.choice(PHRASES["activity_patterns"][language])
        activity = rng.choice(PHRASES["activities"][language])
        return pattern.format(v=activity)
    if kind < 0.75:
        return rng.choice(PHRASES["statements"][language])
    if kind < 0.82:
        return (
            rng.choice(PHRASES["instructions"][language])
            + rng.choice([" ", "\n", "\n\n"])
            + _draw_material(rng, language)
        )
    if kind < 0.95:
        return make_up_text(rng, language, rng.randint(6, 8) if rng.random() < 0.06 else rng.randint(1, 3))
    if language == "en":
        return (
            rng.choice(PHRASES["ascii_noise"] + PHRASES["foreign"]) if rng.random() < 0.7 else _acronym(rng)
        )
    return _draw_topic(rng, language) + " " + rng.choice([*PHRASES["ascii_noise"], _acronym(rng)])


def _ask(rng: random.Random, pattern: str, draw: Callable[[], str]) -> str:
    text = pattern.format(x=draw(), y=draw())
    return text if rng.random() < 0.8 else text.rstrip("?？.。")


def _draw_topic(rng: random.Random, language: str) -> str:
    """What a question is about: a listed topic, a noun phrase, a made-up phrase, or an acronym."""
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(PHRASES["topics"][language][:-HELD_OUT_TOPICS])
    if kind < 0.65:
        return _noun_phrase(rng, language)
    return _made_up_phrase(rng, language) if kind < 0.96 else _acronym(rng)


def _noun_phrase(rng: random.Random, language: str) -> str:
    nouns, adjective = PHRASES["nouns"][language], rng.choice(PHRASES["adjectives"][language])
    noun = rng.choice(nouns)
    if rng.random() < 0.25:
        noun += GENITIVES[language] + rng.choice(nouns)
    if language == "zh":
        return adjective + noun if rng.random() < 0.3 else noun
    words = [rng.choice(ARTICLES[language]), adjective if rng.random() < 0.3 else "", noun]
    return " ".join(word for word in words if word)


def _draw_material(rng: random.Random, language: str) -> str:
    """A text to work on: nonsense, statements, or a ticket, which here is not to be replied to."""
    kind = rng.random()
    if kind < 0.4:
        return make_up_text(rng, language, rng.randint(1, 4))
    if kind < 0.7:
        return " ".join(rng.sample(PHRASES["statements"][language], rng.randint(1, 3)))
    return draw_ticket(rng).text


def _vary_case(rng: random.Random, text: str) -> str:
    return rng.choice([text.lower(), text.lower(), text[0].lower() + text[1:], text.upper()])


def _acronym(rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(2, 5)))


def _made_up_word(rng: random.Random, language: str) -> str:
    word = "".join(rng.choice(PHRASES["syllables"][language]) for _ in range(rng.randint(1, 3)))
    return word.title() if rng.random() < (0.5 if language == "de" else 0.15) else word


def _made_up_phrase(rng: random.Random, language: str) -> str:
    if language == "zh":
        return "".join(rng.choice(HANZI) for _ in range(rng.randint(1, 5)))
    words = [_made_up_word(rng, language) for _ in range(rng.randint(1, 3))]
    return " ".join([rng.choice(ARTICLES[language]), *words]).strip()


def _made_up_clause(rng: random.Random) -> str:
    return "".join(rng.choice(HANZI) for _ in range(rng.randint(3, 9))) + rng.choice("，。？！")


def _made_up_sentence(rng: random.Random, language: str) -> str:
    """Function words, real nouns and made-up words in any order."""
    sources = [PHRASES["function_words"][language]] * 3 + [
        PHRASES["nouns"][language],
        PHRASES["adjectives"][language],
    ]
    words = [
        rng.choice(rng.choice(sources)) if rng.random() < 0.65 else _made_up_word(rng, language)
        for _ in range(rng.randint(3, 9))
    ]
    text = " ".join(words)
    return text[0].upper() + text[1:] + rng.choice([".", "?", "!", ".", ""])
