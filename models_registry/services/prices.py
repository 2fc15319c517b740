"""Writing prices: each with the moment from which it holds."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from foundation.errors import InvalidInput
from models_registry.calendar import note_date
from models_registry.kinds import Location, ModelKind
from models_registry.worlds import PLATFORM, Connection, Model, ModelPrice, World, active_world
from tenants.models import Tenant
from tenants.notify import announce
from tenants.selectors import get_currency
from usage.pricing import MAX_PRICE, TOKEN_CLASSES, Price, with_parents, without_inherited, write_amount
from usage.quantities import CLASSES

WAITS = {"is_enabled": False}  # in `listed_values` of a model that waits for its price
WITHOUT_OUTPUT = {ModelKind.EMBEDDING, ModelKind.RERANK}
# kind → what must have a price; models of other kinds need any
NEEDED: dict[str, tuple[str, ...]] = {
    ModelKind.CHAT: ("input", "output"),
    ModelKind.EMBEDDING: ("input",),
    ModelKind.RERANK: ("input",),
}


@transaction.atomic
def set_model_price(
    *,
    actor: User | None,
    model: Model,
    currency: str = "",
    valid_from: datetime | None = None,
    amounts: Mapping[str, Decimal] | None = None,
    **named: Decimal | None,
) -> ModelPrice:
    """Set what a model costs by class of usage.quantities, from now or from a later moment on: in `amounts`,
    or each by its name (`input=…`). What is not given (None) stays as it was.

    A class that never had a price of its own, or the same as what it is a part of, follows that: cached input
    costs as much as input, reasoning as much as output. The same price again writes nothing. A model that
    waits for its price is switched on by one that holds from now on. Raises NotAllowed, InvalidInput,
    ValidationError.
    """
    world = active_world()
    require(actor, world.may("add", "modelprice"))
    row = world.models.objects.select_for_update().get(pk=model.pk)
    now = timezone.now()
    _refuse_past(valid_from, now)
    currency = _check_currency(world, currency)
    before = _find_price(world, row, currency, valid_from or now)
    given = {name: amount for name, amount in named.items() if amount is not None}
    wanted = _complete(row, before, {**(amounts or {}), **given})
    if row.waits_for_price and valid_from is None:
        _end_waiting(row)
    if before is not None and before.own_amounts == wanted:
        return before
    price = _write_price(world, row, currency, valid_from or now, wanted)
    if valid_from is not None:
        note_date(valid_from)
    announce("model", row.pk)
    return price


def _write_price(
    world: World, model: Model, currency: str, valid_from: datetime, amounts: Mapping[str, Decimal]
) -> ModelPrice:
    price = world.prices(
        model=model,
        currency=currency,
        valid_from=valid_from,
        amounts={name: write_amount(amount) for name, amount in amounts.items()},
        **_older_columns(amounts),
    )
    price.full_clean()
    price.save()
    return price


def without_mark(values: dict[str, Any] | None) -> dict[str, Any]:
    """`listed_values` of a model that waits no more."""
    return {name: value for name, value in (values or {}).items() if name not in WAITS}


def _end_waiting(row: Model) -> None:
    row.listed_values = without_mark(row.listed_values)
    row.is_enabled = True
    row.save(update_fields=["is_enabled", "listed_values", "updated_at"])


@transaction.atomic
def set_free(*, actor: User | None, model: Model) -> ModelPrice:
    """Say that a model costs nothing, whatever is counted, and switch it on where it waited for its price.
    Raises NotAllowed.
    """
    nothing = {name: Decimal(0) for name in CLASSES}
    return set_model_price(actor=actor, model=model, amounts=nothing)


def _refuse_past(valid_from: datetime | None, now: datetime) -> None:
    if valid_from is not None and valid_from < now:
        raise InvalidInput(_("A price cannot begin in the past: those calls are booked."), param="valid_from")


def _find_price(world: World, model: Model, currency: str, moment: datetime) -> ModelPrice | None:
    """The one that holds at this moment."""
    rows = world.prices.objects.filter(model=model, currency=currency, valid_from__lte=moment)
    return rows.order_by("-valid_from").first()


def take_listed_price(*, actor: User | None, model: Model) -> ModelPrice:
    """Make what the catalogue says the model costs its price from now on, in place of all earlier amounts in
    that currency. Raises NotAllowed, and InvalidInput where it says nothing, or in another currency than the
    tenant is billed in.
    """
    if model.is_priced_otherwise:
        raise InvalidInput(
            _(
                "The catalogue's price cannot be taken over: it is not for tokens alone, in another unit, or "
                "written in a way that this release does not know. Enter a price by hand."
            )
        )
    if model.proposed_price is None:
        raise InvalidInput(_("The catalogue does not say what this model costs."))
    price = Price.from_snapshot(model.proposed_price)
    return set_model_price(actor=actor, model=model, currency=price.currency, amounts=price.amounts)


def costs_the_platform(world: World, connection: Connection) -> bool:
    """Whether the operator pays somebody for what all tenants would call for nothing, as long as the models
    have no price: what a catalogue says of it is for an operator to take over.
    """
    return world is PLATFORM and connection.location != Location.LOCAL


def is_paid_for(world: World, model: Model) -> bool:
    """Whether that is so of a model, at its own connection or at a further endpoint."""
    others = (one.connection for one in model.endpoints.select_related("connection"))
    return any(costs_the_platform(world, one) for one in (model.connection, *others))


def must_be_priced(world: World, model: Model) -> bool:
    """Whether somebody has to say what it costs, be that nothing, before it is switched on: all but what the
    operator runs. What organisations pay for their own models no budget would see.
    """
    return world is not PLATFORM or is_paid_for(world, model)


def lacks_its_price(world: World, model: Model) -> bool:
    """Whether it must have one and none holds by now."""
    prices = world.prices.objects.filter(model=model, valid_from__lte=timezone.now())
    return must_be_priced(world, model) and not prices.exists()


def check_switching_on(world: World, model: Model, param: str = "is_enabled") -> None:
    """Raises InvalidInput for a model that lacks its price."""
    if not lacks_its_price(world, model):
        return
    if world is not PLATFORM:
        raise InvalidInput(
            _(
                "Without a price no budget would see what this model costs. Enter a price first, or mark it "
                "as free of charge."
            ),
            param=param,
        )
    raise InvalidInput(
        _(
            "Without a price, all organisations would call this model for nothing. Enter a price first; "
            "0 if it is meant to cost nothing."
        ),
        param=param,
    )


def _older_columns(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What the release before reads: each of its four amounts, followed or not."""
    found = with_parents(amounts)
    return {name: found.get(name, Decimal(0)) for name in TOKEN_CLASSES}


def _check_currency(world: World, currency: str) -> str:
    if world is PLATFORM:
        return currency or Tenant.Currency.EUR
    own = get_currency()
    if currency and currency != own:
        raise InvalidInput(
            _("Your organisation is billed in %(currency)s. Enter the price in it.") % {"currency": own},
            param="currency",
        )
    return own


def _complete(model: Model, before: ModelPrice | None, given: dict[str, Decimal]) -> dict[str, Decimal]:
    """The amounts of all classes with a price of their own."""
    _check_amounts(given)
    amounts = (before.own_amounts if before else {}) | given
    if model.kind in WITHOUT_OUTPUT:
        amounts.setdefault("output", Decimal(0))
    for name in NEEDED.get(model.kind, ()):
        if name not in amounts:
            raise InvalidInput(_("Enter the price of input and the price of output."), param=name)
    if all(CLASSES[name].parent for name in amounts):
        raise InvalidInput(_("Enter a price."), param="amounts")
    return without_inherited(amounts)


def _check_amounts(amounts: dict[str, Decimal]) -> None:
    """Raises InvalidInput for an unknown class, ValidationError for what cannot be a price."""
    for name, amount in amounts.items():
        if name not in CLASSES:
            raise InvalidInput(
                _("“%(name)s” has no price. What can have one: %(known)s.")
                % {"name": name, "known": ", ".join(CLASSES)},
                param="amounts",
            )
        if not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
            raise ValidationError({name: [_("A price lies between 0 and 1,000,000.")]})
        places = CLASSES[name].price_places
        if amount != round(amount, places):
            raise ValidationError(
                {name: [_("A price has at most %(places)d decimal places.") % {"places": places}]}
            )
