"""Support tickets with known labels, the words for these labels, and the
answers a support desk would give.
"""

import json
import random
from dataclasses import dataclass

from .tables import load_table

PHRASES = load_table("tickets")
LANGUAGES = ("de", "en", "zh")
CATEGORIES = ("billing", "technical", "account", "delivery", "feedback")
PRIORITIES = ("low", "medium", "high", "urgent")
ERROR_CODES = (401, 403, 404, 429, 500, 502, 503)

CATEGORY_WORDS = {
    "de": {
        "billing": "Rechnung",
        "technical": "Technik",
        "account": "Konto",
        "delivery": "Lieferung",
        "feedback": "Feedback",
    },
    "en": {
        "billing": "billing",
        "technical": "a technical problem",
        "account": "your account",
        "delivery": "delivery",
        "feedback": "feedback",
    },
    "zh": {
        "billing": "账单",
        "technical": "技术问题",
        "account": "账户",
        "delivery": "配送",
        "feedback": "反馈",
    },
}
PRIORITY_WORDS = {
    "de": {"low": "niedrig", "medium": "mittel", "high": "hoch", "urgent": "sehr hoch"},
    "zh": {"low": "低", "medium": "中", "high": "高", "urgent": "紧急"},
}
LANGUAGE_WORDS = {
    "de": {"de": "Deutsch", "en": "Englisch", "zh": "Chinesisch"},
    "en": {"de": "German", "en": "English", "zh": "Chinese"},
    "zh": {"de": "德语", "en": "英语", "zh": "中文"},
}
REPLIES = {
    "de": "Vielen Dank für Ihre Nachricht zum Thema {topic}. {promise}",
    "en": "Thank you for your message about {topic}. {promise}",
    "zh": "感谢您关于{topic}的留言。{promise}",
}
PROMISES = {
    "de": {
        "low": "Wir melden uns in den nächsten Tagen.",
        "medium": "Wir melden uns diese Woche.",
        "high": "Wir melden uns noch heute.",
        "urgent": "Wir kümmern uns sofort darum.",
    },
    "en": {
        "low": "We will reply in the next few days.",
        "medium": "We will reply this week.",
        "high": "We will reply today.",
        "urgent": "We will take care of it right away.",
    },
    "zh": {
        "low": "我们会在几天内回复。",
        "medium": "我们会在本周回复。",
        "high": "我们会在今天回复。",
        "urgent": "我们会立即处理。",
    },
}


@dataclass(frozen=True)
class Ticket:
    """One ticket and its labels. `language` is one of LANGUAGES, `category` of CATEGORIES, `priority` of
    PRIORITIES.
    """

    text: str
    category: str
    priority: str
    language: str

    def as_contract(self) -> str:
        """The JSON object that the classification task asks for: the contract which fine-tuning teaches."""
        return json.dumps({"category": self.category, "priority": self.priority, "language": self.language})

    def reply(self) -> str:
        """The support desk's answer, in the ticket's language."""
        promise = PROMISES[self.language][self.priority]
        return REPLIES[self.language].format(
            topic=CATEGORY_WORDS[self.language][self.category], promise=promise
        )


def describe_category(ticket: Ticket, language: str) -> str:
    """The topic in words; German and Chinese add the English label in brackets."""
    if language == "en":
        return f"Topic: {ticket.category}."
    words = CATEGORY_WORDS[language][ticket.category]
    return (
        f"Thema: {words} ({ticket.category})."
        if language == "de"
        else f"主题：{words}（{ticket.category}）。"
    )


def describe_priority(ticket: Ticket, language: str) -> str:
    """The urgency in words, like `describe_category`."""
    if language == "en":
        return f"Urgency: {ticket.priority}."
    words = PRIORITY_WORDS[language][ticket.priority]
    return (
        f"Dringlichkeit: {words} ({ticket.priority})."
        if language == "de"
        else f"紧急程度：{words}（{ticket.priority}）。"
    )


def describe_language(ticket: Ticket, language: str) -> str:
    """The ticket's language in words, like `describe_category`."""
    words = LANGUAGE_WORDS[language][ticket.language]
    if language == "zh":
        return f"语言：{words}（{ticket.language}）。"
    return f"{'Sprache' if language == 'de' else 'Language'}: {words} ({ticket.language})."


def draw_ticket(rng: random.Random, split: str = "all", language: str | None = None) -> Ticket:
    """Compose one ticket.

    `split` says which phrases may occur: `train` leaves out the last two problems of each list and
    the last urgency cue, `unseen` uses at least one of those, `all` uses everything, including
    phrases that only the base model sees.
    """
    language = language or rng.choice(LANGUAGES)
    category, priority = rng.choice(CATEGORIES), rng.choice(PRIORITIES)
    problems, cues = _choose_phrases(rng, split, language, category, priority)
    problem = _fill(rng, rng.choice(problems), language)
    # "the app crashes": people write less than our templates
    is_terse = split == "all" and rng.random() < 0.2
    if is_terse:
        return Ticket(_terse(rng, problem, language), category, "medium", language)
    text = _compose(rng, problem, rng.choice(cues), language)
    return Ticket(_vary_punctuation(rng, text, language), category, priority, language)


def _choose_phrases(
    rng: random.Random, split: str, language: str, category: str, priority: str
) -> tuple[list[str], list[str]]:
    problems, cues = PHRASES["problems"][language][category], PHRASES["cues"][language][priority]
    if split == "all":
        return problems + PHRASES["extra_problems"][language][category], cues
    if split == "train":
        return problems[:-2], cues[:-1]
    return (problems[-2:], cues) if rng.random() < 0.5 else (problems, cues[-1:])


def _fill(rng: random.Random, phrase: str, language: str) -> str:
    """The phrase with its slots filled; every slot is drawn, whether the phrase has it or not."""
    number = rng.randint(1000, 9999)
    product = rng.choice(PHRASES["products"])
    euros = rng.randint(5, 990)
    code = rng.choice(ERROR_CODES)
    return phrase.format(n=number, p=product, e=euros, c=code, f=rng.choice(PHRASES["names"][language]))


def _terse(rng: random.Random, problem: str, language: str) -> str:
    """The problem alone, in any of the ways people type it."""
    stop = "。" if language == "zh" else "."
    text = problem if rng.random() < 0.3 else problem[0].upper() + problem[1:]
    return text + rng.choice(["", stop, stop, "!" if language != "zh" else "！"])


def _compose(rng: random.Random, problem: str, cue: str, language: str) -> str:
    hello = rng.choice(PHRASES["greetings"][language])
    farewell = _fill(rng, rng.choice(PHRASES["farewells"][language]), language)
    comma, stop, gap = ("，", "。", "") if language == "zh" else (",", ".", " ")
    sentence = problem[0].upper() + problem[1:]
    is_problem_first = rng.random() < 0.7
    body = (
        (problem if hello else sentence) + stop + gap + cue
        if is_problem_first
        else cue + gap + sentence + stop
    )
    head = hello + comma + gap if hello else ""
    return (head + body + (gap + farewell if farewell else "")).strip()


def _vary_punctuation(rng: random.Random, text: str, language: str) -> str:
    """Chinese is typed with full-width and with half-width punctuation; the model must read both."""
    if language != "zh" or rng.random() < 0.6:
        return text
    return text.translate(str.maketrans("，！？：", ",!?:"))
