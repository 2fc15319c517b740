"""Connections and models of the active scope, whether they can be called or not."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Q, QuerySet, Value
from django.utils import timezone
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from accounts.models import User
from accounts.permissions import require
from foundation.errors import NotFound
from models_registry.first_models import PREPARING
from models_registry.kinds import Channel
from models_registry.worlds import Connection, Model, active_world
from tenants.context import find_tenant, platform
from tenants.selectors import get_plan_id


def list_visible_connections(actor: User | None) -> QuerySet:
    """The active scope's connections, for whoever may see them. Raises NotAllowed."""
    world = active_world()
    require(actor, world.may("view", "connection"))
    return world.connections.objects.all()


def list_visible_models(actor: User | None) -> QuerySet:
    """The active scope's models with their connections, for whoever may see them. Raises NotAllowed."""
    world = active_world()
    require(actor, world.may("view", "model"))
    return world.models.objects.select_related("connection").prefetch_related("endpoints")


def get_visible_connection(actor: User | None, key: UUID | str) -> Connection:
    """One connection, by id or name. Raises NotFound, NotAllowed."""
    row = list_visible_connections(actor).filter(_by_id_or_name(key)).first()
    if row is None:
        raise NotFound(_("There is no connection “%(name)s”.") % {"name": key}, code="connection_not_found")
    return row


def get_visible_model(actor: User | None, key: UUID | str) -> Model:
    """One model, by id or name. Raises NotFound, NotAllowed."""
    row = list_visible_models(actor).filter(_by_id_or_name(key)).first()
    if row is None:
        raise NotFound(_("There is no model “%(name)s”.") % {"name": key}, code="model_not_found")
    return row


def list_used_connections() -> list[Connection]:
    """Connections that are switched on, with what the last look at each gave."""
    rows = active_world().connections.objects.filter(is_enabled=True)
    return list(rows.only("name", "last_error", "last_error_words", "last_checked_at"))


def list_leaving_models(notice: timedelta, limit: int) -> list[Model]:
    """Models that retire within this time, the next one first."""
    today = timezone.now().date()
    rows = active_world().models.objects.filter(retire_on__gte=today, retire_on__lte=today + notice)
    return list(rows.exclude(channel=Channel.RETIRED).order_by("retire_on")[:limit])


def list_seen_models() -> list[Model]:
    """All models that the active scope sees, also those that are switched off: a tenant's own, and the
    platform's that its plan offers, but for those whose name the tenant took itself.
    """
    own = list(active_world().models.objects.all())
    if find_tenant() is None:
        return own
    hidden = {name for row in own for name in (row.name, *row.aliases)}
    return own + [row for row in list_inherited_models() if row.name not in hidden]


def list_inherited_models() -> list[Model]:
    """All models of the platform that the tenant's plan offers, also those whose name the tenant took."""
    plan_id = get_plan_id()
    with platform():
        return list(active_world().models.objects.filter(Q(plans=plan_id) | Q(plans=None)).distinct())


def list_preparing_models() -> list[str]:
    """Labels of the chat models that the embedded runtime is making, for whoever looks, in any scope. Empty
    where the cache does not answer.
    """
    try:
        with platform():
            return cache.get(PREPARING) or []
    except RedisError:
        return []


def label_models(names: Iterable[str]) -> dict[str, str]:
    """What people call the models of these names, also those that are no longer offered, or were deleted; the
    name itself where nobody gave a label, or knows the model.
    """
    wanted = set(names)
    labels, former = _labels(wanted)
    if missing := wanted - labels.keys():
        with platform():
            others, older = _labels(missing)
        labels |= others
        former = older | former
    return {name: labels.get(name, former.get(name)) or name for name in wanted}


def _labels(names: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those of the active scope's models, and of those that it has no more."""
    world = active_world()
    rows, gone = (
        table.objects.filter(name__in=names).order_by().values_list("name", "label", Value(is_gone))
        for table, is_gone in ((world.models, False), (world.former_labels, True))
    )
    labels: dict[bool, dict[str, str]] = {False: {}, True: {}}
    for name, label, is_gone in rows.union(gone, all=True):
        labels[is_gone][name] = label
    return labels[False], labels[True]


def _by_id_or_name(key: UUID | str) -> Q:
    return Q(pk=key) if isinstance(key, UUID) else Q(name=key)


def find_successor(name: str) -> str:
    """The model that is registered to be used instead of one that is no longer offered, or "". An
    organisation's own models go before the platform's.
    """
    own = active_world().models.objects.filter(name=name).values_list("successor", flat=True).first()
    if own is not None:
        return own
    with platform():
        return (
            active_world().models.objects.filter(name=name).values_list("successor", flat=True).first() or ""
        )
