"""Small talk: what people type first into a chat, and one short, honest answer per intent and language.

The last phrase of each list is held out of training and only used to measure
(`draw_small_talk(split="unseen")`).
"""

import random
from dataclasses import dataclass

from .tables import load_table


@dataclass(frozen=True)
class Intent:
    """One thing people say in small talk: per language the ways to say it, and the answer."""

    name: str
    phrases: dict[str, list[str]]
    answers: dict[str, str]


INTENTS = tuple(
    Intent(name, table["phrases"], table["answer"]) for name, table in load_table("small_talk").items()
)
# Weights per draw: greetings, identity and capability come more often.
WEIGHTED_INTENTS = (
    INTENTS
    + INTENTS[:1] * 3
    + tuple(intent for intent in INTENTS if intent.name in ("identity", "capability"))
)
# What may follow a greeting in one line.
QUESTIONS = (
    "how_are_you",
    "identity",
    "capability",
    "maker",
    "platform",
    "connect",
    "languages",
    "joke",
    "sample",
)
OPENINGS = {
    "de": ("Hallo", "Hi", "Hey", "Guten Tag", "Guten Morgen", "Moin"),
    "en": ("Hello", "Hi", "Hey", "Hi there", "Good morning"),
    "zh": ("你好", "您好", "嗨", "早上好"),
}


def draw_small_talk(rng: random.Random, language: str, split: str = "train") -> tuple[str, str]:
    """One phrase and its answer. `split` is `train` or `unseen` (the held-out phrase of each list, as it
    stands).
    """
    intent = rng.choice(WEIGHTED_INTENTS)
    phrases = intent.phrases[language]
    if split == "unseen":
        return phrases[-1], intent.answers[language]
    phrase = _vary(rng, rng.choice(phrases[:-1]), language)
    if intent.name in QUESTIONS and rng.random() < 0.3:
        phrase = rng.choice(OPENINGS[language]) + _choose_joint(rng, language) + phrase
    return phrase, intent.answers[language]


def _choose_joint(rng: random.Random, language: str) -> str:
    return rng.choice(["，", "！", ",", "。"] if language == "zh" else [", ", "! ", ". ", " "])


def _vary(rng: random.Random, phrase: str, language: str) -> str:
    """Other end punctuation and other case, as people type."""
    core = phrase.rstrip("?!.？！。")
    is_question = phrase[-1] in "?？"
    if rng.random() < 0.5:
        if language == "zh":
            phrase = core + rng.choice(
                ["？", "?", "", "呢？"] if is_question else ["！", "。", "", "!", "～"]
            )
        else:
            phrase = core + rng.choice(["?", "", "??", " ?"] if is_question else ["!", ".", "", "!!", " :)"])
    if rng.random() < 0.25:
        phrase = rng.choice([str.lower, str.lower, str.upper, str.title])(phrase)
    return phrase
