"""What the forms of the registry send."""

from django.urls import reverse

from models_registry.models import Model
from tests.routes import TENANT


def url(name: str, *args) -> str:
    return reverse(f"service:{name}", args=args, urlconf=TENANT)


def prices(*rows: dict) -> dict:
    """The inlines' forms: no further endpoint, no price so far, and these new ones."""
    form = {"prices-TOTAL_FORMS": len(rows), "prices-INITIAL_FORMS": 0}
    form |= {"endpoints-TOTAL_FORMS": 0, "endpoints-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        form |= {f"prices-{number}-{name}": value for name, value in row.items()}
    return form


def model_form(model: Model, **changes) -> dict:
    names = (
        "name",
        "label",
        "upstream_name",
        "weight",
        "kind",
        "default_max_output_tokens",
        "channel",
        "licence",
        "successor",
        "notes",
    )
    return {name: getattr(model, name) for name in names} | {"is_enabled": "on", "capabilities": ""} | changes
