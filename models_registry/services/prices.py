"""Writing prices: each with the moment from which it holds."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from foundation.errors import InvalidInput
from models_registry.calendar import note_date
from models_registry.kinds import ModelKind
from models_registry.worlds import PLATFORM, Model, ModelPrice, World, active_world
from tenants.models import Tenant
from tenants.notify import announce
from tenants.selectors import get_currency

WITHOUT_OUTPUT = {ModelKind.EMBEDDING, ModelKind.RERANK}


@transaction.atomic
def set_model_price(
    *,
    actor: User | None,
    model: Model,
    input: Decimal | None = None,
    output: Decimal | None = None,
    cached: Decimal | None = None,
    reasoning: Decimal | None = None,
    currency: str = "",
    valid_from: datetime | None = None,
) -> ModelPrice:
    """Set what a model costs per million tokens, from now or from a later moment on. What is not given stays
    as it was.

    Without an earlier price, cached input costs as much as input and reasoning as much as output. The same
    price again writes nothing. Raises NotAllowed, InvalidInput, ValidationError.
    """
    world = active_world()
    require(actor, world.may("add", "modelprice"))
    row = world.models.objects.select_for_update().get(pk=model.pk)
    now = timezone.now()
    if valid_from is not None and valid_from < now:
        raise InvalidInput(_("A price cannot begin in the past: those calls are booked."), param="valid_from")
    currency = _check_currency(world, currency)
    before = (
        world.prices.objects.filter(model=row, currency=currency, valid_from__lte=valid_from or now)
        .order_by("-valid_from")
        .first()
    )
    amounts = _complete(
        row, before, {"input": input, "cached": cached, "output": output, "reasoning": reasoning}
    )
    if before is not None and all(getattr(before, name) == amount for name, amount in amounts.items()):
        return before
    price = world.prices(model=row, currency=currency, valid_from=valid_from or now, **amounts)
    price.full_clean()
    price.save()
    if valid_from is not None:
        note_date(valid_from)
    announce("model", row.pk)
    return price


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


def _complete(
    model: Model, before: ModelPrice | None, given: dict[str, Decimal | None]
) -> dict[str, Decimal]:
    """All four amounts. Cached input follows input and reasoning follows output, unless they had a price of
    their own.
    """
    if before is None and model.kind in WITHOUT_OUTPUT and given["output"] is None:
        given["output"] = Decimal(0)
    amounts: dict[str, Decimal] = {}
    for base, follower in (("input", "cached"), ("output", "reasoning")):
        old, old_follower = (
            (None, None) if before is None else (getattr(before, base), getattr(before, follower))
        )
        amount = old if given[base] is None else given[base]
        if amount is None:
            raise InvalidInput(_("Enter the price of input and the price of output."), param=base)
        wanted = given[follower]
        if wanted is None:
            wanted = amount if old_follower is None or old_follower == old else old_follower
        amounts |= {base: amount, follower: wanted}
    return amounts
