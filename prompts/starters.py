"""Questions to begin with that fit the model: each set was tried with the models it is for."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from models_registry.first_models import find_first_model
from models_registry.routes import Route
from prompts.offers import Offer
from rag.models import Collection

# The embedded runtime's own models → the set that fits; every other model is taken for a capable one.
SETS = {"atrium-tiny": "demo", "SmolLM2-135M-Instruct": "small"}
CAPABLE = "capable"


@dataclass(frozen=True, slots=True)
class Choice:
    """A model in the picker, and which starters, line and small print go with it. `is_closed`: the data
    policy forbids it.
    """

    model: Route
    set: str
    is_closed: bool = False


def list_choices(offer: Offer) -> list[Choice]:
    closed = [Choice(model, set_of(model), is_closed=True) for model in offer.closed]
    return [Choice(model, set_of(model)) for model in offer.models] + closed


def find_auto_set(offer: Offer) -> str:
    """The set that fits whichever model “auto” chooses."""
    sets = {set_of(model) for model in offer.among}
    return sets.pop() if len(sets) == 1 else CAPABLE


def set_of(model: Route) -> str:
    return SETS.get(model.targets[0].upstream_name, CAPABLE) if find_first_model(model) else CAPABLE


def starter_sets(guide: Collection | None = None) -> dict[str, list[dict[str, str]]]:
    """Set → three questions. The page shows that of the model which is chosen. Where there is a guide, the
    first one is about Atrium, and names it (`collection`).
    """
    sets = {"demo": _demo(), "small": _small(), CAPABLE: _capable()}
    if guide is None:
        return sets
    return {name: [_about_atrium(guide, name), *starters[:2]] for name, starters in sets.items()}


def _about_atrium(guide: Collection, set_name: str) -> dict[str, str]:
    asked = "How does Atrium answer from my documents?"
    text = asked if set_name == "small" else _("How does Atrium answer from my documents?")
    return {"title": _("Ask about Atrium"), "text": text, "collection": str(guide.pk)}


def _demo() -> list[dict[str, str]]:
    """In the reader's language, which the demo model speaks."""
    return [
        {"title": _("Say hello"), "text": _("Hello")},
        {"title": _("Find out what it can do"), "text": _("What can you do?")},
        {
            "title": _("Sort a support ticket"),
            "text": _("Hello, I was charged twice for Nova. Please answer today."),
        },
    ]


def _small() -> list[dict[str, str]]:
    """In English whatever the reader's language: the model knows no other."""
    return [
        {"title": _("Have something explained"), "text": "Explain photosynthesis in two sentences."},
        {"title": _("Ask for advice"), "text": "Give me three tips for a good presentation."},
        {
            "title": _("Sum up a text"),
            "text": "Summarise in one sentence: Last night the river rose by two metres after three days of "
            "rain. The fire brigade closed the bridge, and the school in the valley stays shut today.",
        },
    ]


def _capable() -> list[dict[str, str]]:
    return [
        {
            "title": _("Have something explained"),
            "text": _("What is the difference between weather and climate? Five sentences, please."),
        },
        {
            "title": _("Have an e-mail written"),
            "text": _("Write a short, friendly e-mail that moves our meeting from Tuesday to Thursday."),
        },
        {
            "title": _("Plan something"),
            "text": _(
                "Make an agenda for a workshop of two hours with eight people who meet for the first time."
            ),
        },
    ]
