"""`manage.py model set | list`."""

from argparse import ArgumentParser
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils import timezone

from foundation.commands import AtriumCommand
from foundation.errors import InvalidInput
from models_registry import services
from models_registry.command_line import add_scope, chosen_scope
from models_registry.kinds import Channel, ModelKind
from models_registry.selectors import (
    get_visible_connection,
    get_visible_model,
    list_current_prices,
    list_visible_models,
)
from models_registry.services.catalogue import USUAL_OUTPUT_TOKENS
from models_registry.worlds import PLATFORM, Model, ModelPrice, active_world
from tenants.models import Plan, Tenant
from tenants.selectors import list_plans
from usage.quantities import CLASSES

PRICES = ("input", "output", "cached", "reasoning")
NUMBERS = {
    "context_window": "what a call and its answer share",
    "max_output_tokens": "the longest answer that the model can give",
    "default_max_output_tokens": f"the longest where a call names none; default: {USUAL_OUTPUT_TOKENS}",
}
TEXTS = ("label", "licence", "successor", "notes", "upstream_name")


class Command(AtriumCommand):
    help = "Set and list what users name in model=: prices, limits, and where a model is in its life."

    def add_actions(self) -> None:
        change = self.add_action("set", self.set, "change a model, or with --connection add one")
        change.add_argument("name", metavar="NAME")
        add_scope(change)
        change.add_argument(
            "--connection", metavar="NAME", help="add the model to this connection if it does not exist"
        )
        _add_prices(change)
        change.add_argument("--channel", choices=Channel.values)
        change.add_argument("--retire-on", type=day, metavar="DATE", help="as 2027-01-31")
        change.add_argument("--kind", choices=ModelKind.values)
        for name, text in NUMBERS.items():
            change.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"tokens; {text}")
        for name in TEXTS:
            change.add_argument(f"--{name.replace('_', '-')}")
        change.add_argument(
            "--weight", type=int, metavar="N", help="of its own connection among its endpoints"
        )
        _add_lists(change)
        switch = change.add_mutually_exclusive_group()
        switch.add_argument("--enable", action="store_true")
        switch.add_argument("--disable", action="store_true")
        change.add_argument("--default", action="store_true", help="choose it where nobody chooses")
        add_scope(self.add_action("list", self.list, "show all models"))

    def set(self, options) -> None:
        changes = {
            name: options[name]
            for name in ("channel", "retire_on", "kind", "capabilities", "languages", *NUMBERS, *TEXTS)
            if options[name] is not None
        }
        if options["disable"]:
            changes["is_enabled"] = False
        if options["default"]:
            changes["is_default"] = True
        for name, option in (("aliases", "alias"), ("fallbacks", "fallback"), ("weight", "weight")):
            if options[option] is not None:
                changes[name] = options[option]
        prices = {name: options[f"{name}_price"] for name in PRICES if options[f"{name}_price"] is not None}
        prices |= dict(options["price"])
        with chosen_scope(options), transaction.atomic():
            if options["plan"]:
                changes["plans"] = _find_plans(options["plan"])
            model, waits = self._write(options, changes)
            if prices:
                services.set_model_price(
                    actor=None, model=model, currency=options["currency"] or "", amounts=prices
                )
            if options["free"]:
                services.set_free(actor=None, model=model)
            # what follows may need the price
            if options["endpoint"] is not None:
                specs = [_read_endpoint(text) for text in options["endpoint"]]
                model = services.set_endpoints(actor=None, model=model, endpoints=specs)
            if options["enable"] or (waits and (prices or options["free"])):
                role = {"is_default": True} if options["default"] else {}
                model = services.set_model(actor=None, model=model, is_enabled=True, **role)
            shown = _describe(model, list_current_prices([model]).get(model.pk, []))
        note = (
            ""
            if not waits or prices or options["free"]
            else " It stays switched off until it has a price: see --input-price and --free."
        )
        self.show(shown, f"Model {model.name} is set.{note}")

    def _write(self, options, changes: dict[str, Any]) -> tuple[Model, bool]:
        """The model, and whether it is new and waits for its price."""
        exists = list_visible_models(None).filter(name=options["name"]).exists()
        if options["connection"] and not exists:
            connection = get_visible_connection(None, options["connection"])
            row = services.add_model(
                actor=None, connection=connection, name=options["name"], waits_for_price=True, **changes
            )
            return row, changes.get("is_enabled", True) and not row.is_enabled
        model = get_visible_model(None, options["name"])
        return services.set_model(actor=None, model=model, **changes) if changes else model, False

    def list(self, options) -> None:
        with chosen_scope(options):
            models = list(list_visible_models(None))
            prices = list_current_prices(models)
            self.show([_describe(model, prices.get(model.pk, [])) for model in models])


def _add_prices(change: ArgumentParser) -> None:
    for name in PRICES:
        change.add_argument(f"--{name}-price", type=amount, metavar="P", help="per million tokens")
    change.add_argument(
        "--price",
        action="append",
        type=class_and_amount,
        default=[],
        metavar="CLASS=P",
        help=f"any price, by class ({', '.join(CLASSES)}): of a million tokens, an image, a second; a "
        "class without one costs what it is a part of; may be repeated",
    )
    change.add_argument(
        "--free", action="store_true", help="it costs nothing: a price of 0, whatever is counted"
    )
    change.add_argument("--currency", choices=Tenant.Currency.values)


def _add_lists(change: ArgumentParser) -> None:
    """What is given several times, and replaces all that was set before."""
    change.add_argument(
        "--capability",
        action="append",
        dest="capabilities",
        metavar="WORD",
        help="replaces all; may be repeated",
    )
    change.add_argument(
        "--language",
        action="append",
        dest="languages",
        metavar="CODE",
        help="in which it answers, such as en; replaces all; may be repeated",
    )
    change.add_argument(
        "--plan",
        action="append",
        metavar="PLAN",
        help="with --platform: offered to these plans only; may be repeated",
    )
    for name, text in (("alias", "another name"), ("fallback", "a model that stands in")):
        change.add_argument(
            f"--{name}", action="append", metavar="NAME", help=f"{text}; replaces all; may be repeated"
        )
    change.add_argument(
        "--endpoint",
        action="append",
        metavar="CONNECTION[=NAME][:WEIGHT]",
        help="a further connection that has the model; replaces all; may be repeated",
    )


def _describe(model: Model, prices: list[ModelPrice]) -> dict:
    return {
        "name": model.name,
        "id": model.pk,
        "connection": model.connection.name,
        "upstream_name": model.upstream_name,
        "weight": model.weight,
        "endpoints": [
            {"connection": one.connection.name, "upstream_name": one.upstream_name, "weight": one.weight}
            for one in model.endpoints.select_related("connection")
        ],
        "aliases": model.aliases,
        "fallbacks": model.fallbacks,
        "kind": model.kind,
        "channel": model.channel,
        "languages": model.languages,
        "retire_on": model.retire_on,
        "enabled": model.is_enabled,
        "default": model.is_default,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "default_max_output_tokens": model.default_max_output_tokens,
        "prices": [row.as_price().snapshot() for row in prices],
    }


def _read_endpoint(text: str) -> services.EndpointSpec:
    """`CONNECTION[=NAME][:WEIGHT]`; names of models may hold colons themselves."""
    head, colon, tail = text.rpartition(":")
    weight = int(tail) if colon and tail.isascii() and tail.isdecimal() else None
    connection, _equals, upstream_name = (text if weight is None else head).partition("=")
    return services.EndpointSpec(
        get_visible_connection(None, connection), upstream_name, 1 if weight is None else weight
    )


def _find_plans(names: list[str]) -> list[Plan]:
    if active_world() is not PLATFORM:
        raise InvalidInput("Only the platform's models belong to plans.", param="plan")
    plans = list_plans(names)
    missing = set(names) - {plan.name for plan in plans}
    if missing:
        raise InvalidInput(f"There is no plan “{min(missing)}”.", param="plan")
    return plans


def amount(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not value.is_finite():
        raise ValueError(text)
    return value


def class_and_amount(text: str) -> tuple[str, Decimal]:
    name, _equals, price = text.partition("=")
    return name, amount(price)


def day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.get_current_timezone()).date()
