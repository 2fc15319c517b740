"""Writing models: added by hand, changed, moved through their life, removed."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.objects import MODEL
from accounts.permissions import require
from accounts.services import forget_object
from foundation.errors import InvalidInput
from models_registry.calendar import note_date
from models_registry.kinds import Channel
from models_registry.lifecycle import announces_end, check_life
from models_registry.selectors import list_inherited_models
from models_registry.services.names import keep_labels, lock_names
from models_registry.services.prices import WAITS, check_switching_on, costs_the_platform
from models_registry.services.references import check_references
from models_registry.worlds import PLATFORM, Connection, Model, World, active_world
from tenants.notify import announce

CHANGEABLE = frozenset(
    {
        "name",
        "label",
        "upstream_name",
        "kind",
        "context_window",
        "max_output_tokens",
        "default_max_output_tokens",
        "capabilities",
        "languages",
        "licence",
        "channel",
        "retire_on",
        "successor",
        "weight",
        "aliases",
        "fallbacks",
        "is_enabled",
        "is_default",
        "notes",
        "plans",
    }
)
NAMING = frozenset({"name", "aliases"})


@transaction.atomic
def add_model(
    *,
    actor: User | None,
    connection: Connection,
    name: str,
    upstream_name: str = "",
    is_demo: bool = False,
    waits_for_price: bool = False,
    **fields: Any,
) -> Model:
    """Add a model that the provider does not list, or under another name. What the operator would pay for,
    and with `waits_for_price` (people, programs and commands ask for it) an organisation's own, is added
    switched off and not as the default, whatever is wanted; its first price switches it on if that was
    wanted. Raises NotAllowed, InvalidInput, ValidationError.
    """
    world = active_world()
    require(actor, world.may("add", "model"))
    lock_names()
    row = world.models(
        name=name,
        connection_id=connection.pk,
        upstream_name=upstream_name or name,
        is_demo=is_demo,
        listed_values={},
    )
    if "default_max_output_tokens" not in fields and fields.get("max_output_tokens"):
        row.default_max_output_tokens = min(row.default_max_output_tokens, fields["max_output_tokens"])
    if costs_the_platform(world, connection) or (waits_for_price and world is not PLATFORM):
        if fields.pop("is_enabled", True):
            row.listed_values = dict(WAITS)
        row.is_enabled = row.is_default = False
        fields.pop("is_default", None)
    return _write(world, row, None, fields)


@transaction.atomic
def set_model(*, actor: User | None, model: Model, **changes: Any) -> Model:
    """Change a model. To set `retire_on` on a stable model announces its retirement: it becomes deprecated,
    also where “retired” is set with the date.

    Raises NotAllowed, InvalidInput (among others, for switching on what the operator would pay for alone),
    ValidationError (among others, what breaks the policy of a model's life).
    """
    world = active_world()
    require(actor, world.may("change", "model"))
    if NAMING & changes.keys():
        lock_names()
    row = world.models.objects.select_for_update().get(pk=model.pk)
    if changes.get("name", row.name) != row.name:
        keep_labels(world, [row])
    if changes.get("is_enabled") and not row.is_enabled:
        check_switching_on(world, row)
    return _write(world, row, row.channel, changes)


def _write(world: World, row: Model, was: str | None, changes: dict[str, Any]) -> Model:
    unknown = set(changes) - (CHANGEABLE if world is PLATFORM else CHANGEABLE - {"plans"})
    if unknown:
        raise InvalidInput(_("A model has no field “%(name)s”.") % {"name": min(unknown)}, param=min(unknown))
    plans = changes.pop("plans", None)
    old_date, old_aliases = row.retire_on, row.aliases
    for name, value in changes.items():
        setattr(row, name, value)
    if row.listed_values:  # what somebody sets is theirs, even if the catalogue says the same just now
        row.listed_values = {name: value for name, value in row.listed_values.items() if name not in changes}
    is_kept_stable = changes.get("channel") == Channel.STABLE
    if not is_kept_stable and announces_end(was, row.channel, old_date, row.retire_on):
        row.channel = Channel.DEPRECATED
    _settle_life(row, was, old_date)
    if changes.get("is_default"):
        world.models.objects.filter(kind=row.kind, is_default=True).exclude(pk=row.pk).update(
            is_default=False
        )
    if NAMING & changes.keys() or row._state.adding:
        _check_names(world, row)
        if world is not PLATFORM:
            _check_that_it_hides_nothing(set(row.aliases) - set(old_aliases))
    check_references(row, changes)
    if changes.get("is_enabled"):
        row.vanished_at = None  # an admin's word stands above the catalogue's
    row.full_clean()
    row.save()
    if plans is not None and isinstance(row, PLATFORM.models):
        row.plans.set(plans)
    if row.retire_on and row.retire_on != old_date:
        note_date(row.retire_on)
    announce("model", row.pk)
    return row


def _check_names(world: World, row: Model) -> None:
    """Raises InvalidInput where two models would have one name. Call it under `lock_names`."""
    others = world.models.objects.exclude(pk=row.pk)
    taken = others.filter(name__in=row.aliases).values_list("name", flat=True).first()
    for name in [row.name, *row.aliases]:
        if taken is None and others.filter(aliases__contains=[name]).exists():
            taken = name
    if taken is None and row.name in row.aliases:
        taken = row.name
    if taken is not None:
        raise InvalidInput(
            _("“%(name)s” is the name of another model already.") % {"name": taken}, param="aliases"
        )


def _check_that_it_hides_nothing(new_aliases: set[str]) -> None:
    """An organisation's own model takes the place of the platform's by its name, for all to see: another name
    would do so unseen. Raises InvalidInput.
    """
    taken = {name for one in list_inherited_models() for name in (one.name, *one.aliases)}
    if hidden := sorted(new_aliases & taken):
        raise InvalidInput(
            _(
                "“%(name)s” is a model of the platform, which would be hidden by another name. A model that "
                "is meant to take its place must have that name itself."
            )
            % {"name": hidden[0]},
            param="aliases",
        )


def _settle_life(row: Model, was: str | None, old_date: Any) -> None:
    today = timezone.now().date()
    if row.channel == Channel.STABLE and was not in (Channel.STABLE, Channel.DEPRECATED):
        row.stable_since = today
    check_life(
        was=was,
        becomes=row.channel,
        old_date=old_date,
        new_date=row.retire_on,
        stable_since=row.stable_since,
        today=today,
    )
    if row.channel == Channel.RETIRED:
        row.is_default = False


@transaction.atomic
def remove_model(*, actor: User | None, model: Model) -> None:
    """Remove a model and its prices. What was booked on it keeps its name, label and price. Raises
    NotAllowed.
    """
    world = active_world()
    require(actor, world.may("delete", "model"))
    rows = world.models.objects.filter(pk=model.pk)
    keep_labels(world, rows)
    rows.delete()
    if world is not PLATFORM:
        forget_object(kind=MODEL, object_id=model.pk)
    announce("model", model.pk)
