"""The models that the embedded runtime brings, as the platform offers them: prices, notes, languages."""

from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext, gettext_noop

from models_registry.providers.embedded import Embedded
from models_registry.routes import Route

PREPARING = "models_registry.preparing"  # key in the platform's cache: labels of chat models that are made


@dataclass(frozen=True, slots=True)
class FirstModel:
    """What the runtime's own list does not say. Prices are per million tokens, the same number in each
    currency, so that costs show.
    """

    input: Decimal
    output: Decimal
    notes: str  # in English, as they are stored; people read them by say_notes
    languages: tuple[str, ...] = ()  # of answers, as models_registry.languages has them


FIRST_MODELS: dict[str, FirstModel] = {
    "atrium-tiny": FirstModel(
        Decimal("0.10"),
        Decimal("0.40"),
        gettext_noop("A very small model for demonstrations, made with Atrium itself."),
        ("en", "de", "zh"),
    ),
    "SmolLM2-135M-Instruct": FirstModel(
        Decimal("0.10"),
        Decimal("0.40"),
        gettext_noop(
            "A small model that runs on this machine. English only: German or Chinese in, nonsense out. It "
            "answers simple questions, sums up short texts, and makes mistakes with confidence."
        ),
        ("en",),
    ),
    "multilingual-e5-small": FirstModel(
        Decimal("0.02"),
        Decimal(0),
        gettext_noop(
            "Embeddings of 384 dimensions for about 100 languages, texts of up to 512 tokens. Say with "
            "input_type (query or passage) what a text is for."
        ),
    ),
}


def find_first_model(route: Route) -> FirstModel | None:
    """What is known of a route that leads to a model which the embedded runtime brought along."""
    target = route.targets[0]
    return FIRST_MODELS.get(target.upstream_name) if target.endpoint.kind == Embedded.kind else None


def say_notes(route: Route, notes: str) -> str:
    """What the catalogue says of a model: in the reader's language, unless an operator wrote it anew."""
    first = find_first_model(route)
    return gettext(notes) if first is not None and notes == first.notes else notes
