"""The synthetic corpus of the demo model in German, English and Chinese: deterministic for a seed, without
outside data.

Covers: small talk, support tickets with labels, triage in words, a JSON contract to fine-tune on, fallbacks
for all the rest.
Does not cover: knowledge of the world; in-domain figures say nothing about real tickets.
"""

from .dialogs import (
    CLASSIFICATION_PROMPT,
    Dialog,
    classification_messages,
    draw_dialog,
    sloppy_answer,
)
from .out_of_scope import FALLBACKS, draw_out_of_scope
from .small_talk import INTENTS, draw_small_talk
from .tickets import CATEGORIES, LANGUAGES, PRIORITIES, Ticket, draw_ticket

__all__ = [
    "CATEGORIES",
    "CLASSIFICATION_PROMPT",
    "FALLBACKS",
    "INTENTS",
    "LANGUAGES",
    "PRIORITIES",
    "Dialog",
    "Ticket",
    "classification_messages",
    "draw_dialog",
    "draw_out_of_scope",
    "draw_small_talk",
    "draw_ticket",
    "sloppy_answer",
]
