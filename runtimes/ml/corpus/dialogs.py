"""Dialogs to pretrain on: small talk, tickets, triage in words, JSON, and honest fallbacks, in one or several
turns.

The target contract of the classification task (`Ticket.as_contract`) occurs for Chinese tickets only. German
and English tickets get sloppy answers to the same request, so that about a third of the base model's answers
keep to the contract and fine-tuning has something to teach.
"""

import json
import random

from .out_of_scope import draw_out_of_scope, make_up_text
from .small_talk import draw_small_talk
from .tables import load_table
from .tickets import (
    LANGUAGE_WORDS,
    LANGUAGES,
    Ticket,
    describe_category,
    describe_language,
    describe_priority,
    draw_ticket,
)
from .tickets import PHRASES as TICKET_PHRASES

Message = tuple[str, str]  # (role, content)
Dialog = list[Message]

CLASSIFICATION_PROMPT = "Classify the ticket. Answer only with JSON: category, priority, language."
PHRASES = load_table("dialogs")
DESCRIBE = {"category": describe_category, "priority": describe_priority, "language": describe_language}


def draw_dialog(rng: random.Random) -> Dialog:
    """One dialog for pretraining: 60 % with a single turn, the rest with two to fourteen turns of mostly one
    language.
    """
    if rng.random() < 0.1:
        return _classification_dialog(rng)
    length = rng.random()
    turns = 1 if length < 0.6 else rng.randint(2, 7) if length < 0.96 else rng.randint(8, 14)
    language = rng.choice(LANGUAGES)
    dialog = _draw_system_prompt(rng, language)
    ticket = None
    for _ in range(turns):
        if rng.random() < 0.08:
            language = rng.choice(LANGUAGES)
        if ticket and rng.random() < 0.4:
            dialog += _follow_up(rng, ticket, language)
        else:
            turn, ticket = _draw_turn(rng, language)
            dialog += turn
    return dialog


def classification_messages(ticket: Ticket) -> Dialog:
    """The request of the classification task, without the answer."""
    return [("system", CLASSIFICATION_PROMPT), ("user", ticket.text)]


def sloppy_answer(ticket: Ticket) -> str:
    """What the base model says to the classification request: the contract in Chinese, something like it
    otherwise.
    """
    if ticket.language == "zh":
        return ticket.as_contract()
    if ticket.language == "en":
        return f"Topic {ticket.category}, urgency {ticket.priority}, {LANGUAGE_WORDS['en'][ticket.language]}."
    return json.dumps({"topic": ticket.category, "urgency": ticket.priority})


def _classification_dialog(rng: random.Random) -> Dialog:
    dialog: Dialog = [("system", CLASSIFICATION_PROMPT)]
    for _ in range(1 if rng.random() < 0.8 else 2):
        ticket = draw_ticket(rng)
        dialog += [("user", ticket.text), ("assistant", sloppy_answer(ticket))]
    return dialog


def _draw_turn(rng: random.Random, language: str) -> tuple[Dialog, Ticket | None]:
    """One question and answer, and the ticket it was about, if any."""
    kind = rng.random()
    if kind < 0.25:
        question, answer = draw_small_talk(rng, language)
        return _turn(question, answer), None
    if kind < 0.54:
        question, answer = draw_out_of_scope(rng, language)
        return _turn(question, answer), None
    if kind < 0.57:
        return _json_turn(rng, language), None
    ticket = draw_ticket(rng, language=language if rng.random() < 0.6 else None)
    if kind < 0.76:
        return _reply_turn(rng, ticket, language), ticket
    return _triage_turn(rng, ticket, language), ticket


def _draw_system_prompt(rng: random.Random, language: str) -> Dialog:
    """Usually none; sometimes an assistant's usual one, or a long one without meaning, which the model must
    not mind.
    """
    kind = rng.random()
    if kind < 0.72:
        return []
    if kind < 0.95:
        return [("system", rng.choice(PHRASES["assistant_prompts"]))]
    return [("system", make_up_text(rng, language, rng.randint(2, 5)))]


def _turn(question: str, answer: str) -> Dialog:
    return [("user", question), ("assistant", answer)]


def _reply_turn(rng: random.Random, ticket: Ticket, language: str) -> Dialog:
    text = (
        ticket.text
        if rng.random() < 0.7
        else _join(rng, rng.choice(PHRASES["drafts"][language]), ticket.text, is_prefix=True)
    )
    return _turn(text, ticket.reply())


def _triage_turn(rng: random.Random, ticket: Ticket, language: str) -> Dialog:
    kind = rng.random()
    if kind < 0.2:
        answer = " ".join(describe(ticket, language) for describe in DESCRIBE.values())
        return _turn(
            _join(rng, rng.choice(PHRASES["triage"][language]), ticket.text, is_prefix=True),
            answer.replace("。 ", "。"),
        )
    subject = "category" if kind < 0.5 else "priority" if kind < 0.88 else "language"
    question = rng.choice(PHRASES["questions"][subject][language])
    return _turn(
        _join(rng, question, ticket.text, is_prefix=rng.random() < 0.7), DESCRIBE[subject](ticket, language)
    )


def _follow_up(rng: random.Random, ticket: Ticket, language: str) -> Dialog:
    """A question about the ticket that was sent last."""
    subject = rng.choice(["category", "priority", "priority", "language"])
    return _turn(rng.choice(PHRASES["questions"][subject][language]), DESCRIBE[subject](ticket, language))


def _join(rng: random.Random, question: str, text: str, *, is_prefix: bool) -> str:
    gap = rng.choice([" ", "\n", "\n\n"])
    return question + gap + text if is_prefix else text + gap + question


def _json_turn(rng: random.Random, language: str) -> Dialog:
    """Key and value pairs to JSON: the base model knows what JSON looks like."""
    record = {
        "name": rng.choice(TICKET_PHRASES["names"][language]),
        "order": rng.randint(1000, 9999),
        "product": rng.choice(TICKET_PHRASES["products"]),
    }
    record = {key: record[key] for key in rng.sample(list(record), rng.randint(1, 3))}
    return _turn(
        "JSON: " + ", ".join(f"{key}={value}" for key, value in record.items()),
        json.dumps(record, ensure_ascii=False),
    )
