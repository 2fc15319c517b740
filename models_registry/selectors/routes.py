"""The models that can be called, and where and at what price each is."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import UUID

from django.db.models import Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from foundation.errors import AtriumError
from models_registry.addresses import may_be_local, read_base_url
from models_registry.kinds import Channel, Location
from models_registry.platform.models import Model as PlatformModel
from models_registry.providers.table import find_provider
from models_registry.routes import Endpoint, Route, Target
from models_registry.worlds import (
    PLATFORM,
    Connection,
    Model,
    ModelEndpoint,
    ModelPrice,
    World,
    active_world,
)
from tenants.context import find_tenant, platform
from tenants.sealing import BrokenSeal, NoDataKey
from tenants.selectors import list_tenants_billed_otherwise
from usage.pricing import Price

logger = logging.getLogger(__name__)


def list_routes(plan_id: UUID | None = None, currency: str = "") -> dict[str, Route]:
    """The models that the active tenant may call, by name and by alias: its own, and the platform's that its
    plan offers.

    A name of the tenant's own hides the platform's model of that name, also while the own one is switched
    off: a call never goes unexpectedly to another provider. With a currency, prices are in that currency,
    and a model that is only priced in others is not offered: no bill adds up two currencies. On the
    platform: the platform's models, of all plans.
    """
    own = active_world()
    routes = _routes_of(own, own.models.objects.all(), currency)
    if find_tenant() is None:
        return routes
    hidden = names_of(own)
    with platform():
        inherited = _routes_of(PLATFORM, _list_shared(plan_id).exclude(name__in=hidden), currency)
    own_defaults = {route.kind for route in routes.values() if route.is_default}
    for name, route in inherited.items():
        if name not in hidden:
            routes[name] = replace(route, is_default=False) if route.kind in own_defaults else route
    return routes


def _list_shared(plan_id: UUID | None) -> QuerySet:
    """The platform's models that are for a plan. Call it in the platform's scope."""
    is_for_plan = Q(plans=plan_id) | Q(plans=None) if plan_id else Q(plans=None)
    return PLATFORM.models.objects.filter(is_for_plan)


def list_hidden(plan_id: UUID, currency: str) -> list[tuple[Route, str]]:
    """What the platform would offer the active tenant if an alias of its own did not lead elsewhere, each
    with the name of the own model. No alias is given to hide one, but the platform may name a model later.
    """
    rows = active_world().models.objects.exclude(aliases=[]).values_list("name", "aliases")
    own = {alias: name for name, aliases in rows for alias in aliases}
    if not own:
        return []
    with platform():
        found = _routes_of(PLATFORM, _list_shared(plan_id).filter(name__in=own), currency)
    return [(route, own[name]) for name, route in sorted(found.items()) if name == route.name]


def names_of(world: World) -> set[str]:
    """Names and aliases of all its models, also of those that are switched off."""
    names = set()
    for name, aliases in world.models.objects.values_list("name", "aliases"):
        names |= {name, *aliases}
    return names


def list_offered(plan_id: UUID | None = None, currency: str = "") -> list[Route]:
    """The same without aliases: each model once, by name."""
    routes = list_routes(plan_id, currency)
    return [route for name, route in sorted(routes.items()) if name == route.name]


def _routes_of(world: World, models: QuerySet, currency: str) -> dict[str, Route]:
    today = timezone.now().date()
    usable = models.filter(is_enabled=True).exclude(channel=Channel.RETIRED).exclude(retire_on__lte=today)
    rows = list(usable.select_related("connection").order_by("name").distinct())
    further = _list_further(world, rows)
    ways = {row.pk: list(_ways(row, further[row.pk])) for row in rows}
    connections = {one.pk: one for found in ways.values() for one, _name, _weight in found}
    endpoints = _open_endpoints(world, connections.values())
    prices = list_current_prices(rows)
    routes: dict[str, Route] = {}
    for row in rows:
        targets = tuple(
            Target(endpoints[one.pk], name, weight)
            for one, name, weight in ways[row.pk]
            if one.pk in endpoints
        )
        if not targets:
            continue
        try:
            routes[row.name] = _make_route(row, targets, _choose_price(prices.get(row.pk, []), currency))
        except ValueError as exc:
            logger.warning("model %s is not offered: %s", row.name, exc)
    names = {alias: routes[row.name] for row in rows if row.name in routes for alias in row.aliases}
    return names | routes


def _list_further(world: World, models: Iterable[Model]) -> dict[UUID, list[ModelEndpoint]]:
    """Model id → its endpoints beside its own. A prefetch would make a query set for each of the models."""
    found: dict[UUID, list[ModelEndpoint]] = defaultdict(list)
    rows = world.endpoints.objects.filter(model__in=[model.pk for model in models])
    for row in rows.select_related("connection"):
        found[row.model_id].append(row)
    return found


def _ways(row: Model, further: Iterable[ModelEndpoint]) -> Iterator[tuple[Connection, str, int]]:
    """(connection, name there, weight) of each endpoint that is switched on; the model's own first."""
    if row.connection.is_enabled:
        yield row.connection, row.upstream_name, row.weight
    for endpoint in further:
        if endpoint.connection.is_enabled:
            yield endpoint.connection, endpoint.upstream_name, endpoint.weight


def _choose_price(prices: list[ModelPrice], currency: str) -> Price:
    """Raises ValueError where the model has no price that this tenant can be charged."""
    if not prices:
        return Price(currency or "EUR")
    for row in prices:
        if not currency or row.currency == currency:
            return row.as_price()
    found = [row.as_price() for row in prices]
    if all(price.is_free for price in found):  # nothing is nothing in every currency
        return Price(currency, **found[0].amounts)
    raise ValueError(f"it has no price in {currency}")


def list_tenants_left_out(models: Iterable[PlatformModel]) -> list[str]:
    """Names of the organisations that would no longer be offered one of these models of the platform, did it
    cost what its catalogue proposes: see `_choose_price`.
    """
    rows = list(models)
    prefetch_related_objects(rows, "plans")
    current = list_current_prices(rows)
    names: dict[str, None] = {}
    for row in rows:
        price = Price.from_snapshot(row.proposed_price) if row.proposed_price else None
        found = current.get(row.pk, [])
        if price is None or price.is_free or not all(one.as_price().is_free for one in found):
            continue
        kept, plans = {one.currency for one in found}, {plan.pk for plan in row.plans.all()}
        for tenant in list_tenants_billed_otherwise(price.currency):
            if tenant.currency not in kept and (not plans or tenant.plan_id in plans):
                names[tenant.name] = None
    return sorted(names)


def _open_endpoints(world: World, connections: Iterable[Connection]) -> dict[UUID, Endpoint]:
    """Connection id → endpoint. One whose secret or address is broken takes only its own models with it."""
    endpoints = {}
    for row in connections:
        try:
            target = read_base_url(row.base_url, allow_private=row.allow_private)
            endpoints[row.pk] = _make_endpoint(world, row, target.url)
        except (BrokenSeal, NoDataKey, AtriumError):
            logger.exception("connection %s cannot be used; its models are not offered", row.pk)
    return endpoints


def _make_endpoint(world: World, row: Connection, base_url: str) -> Endpoint:
    usual = find_provider(row.kind).timeouts
    return Endpoint(
        id=row.pk,
        origin=world.origin,
        kind=row.kind,
        base_url=base_url,
        secret=row.open_secret(),
        allow_private=row.allow_private,
        connect_timeout_s=row.connect_timeout_s or usual.connect,
        first_byte_timeout_s=row.first_byte_timeout_s or usual.first_byte,
        idle_timeout_s=row.idle_timeout_s or usual.idle,
        total_timeout_s=row.total_timeout_s or usual.total,
        token_limit_name=row.token_limit_name,
        location=_location_of(world, row),
        no_storage=row.no_storage,
        has_answered=row.last_checked_at is not None and not row.last_error,
    )


def _location_of(world: World, row: Connection) -> str:
    """As entered; unknown where an organisation once called its own what the operator never did."""
    if row.location != Location.LOCAL or world is PLATFORM:
        return row.location
    return row.location if may_be_local(row.base_url, allow_private=row.allow_private) else Location.UNKNOWN


def _make_route(row: Model, targets: tuple[Target, ...], price: Price) -> Route:
    return Route(
        name=row.name,
        label=row.label or row.name,
        model_id=row.pk,
        targets=targets,
        kind=row.kind,
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
        default_max_output_tokens=row.default_max_output_tokens,
        price=price,
        channel=row.channel,
        retire_on=row.retire_on,
        is_demo=row.is_demo,
        is_default=row.is_default,
        created_at=row.created_at,
        capabilities=frozenset(row.capabilities),
        fallbacks=tuple(row.fallbacks),
        languages=tuple(row.languages),
    )


def list_unpriced(connection: Connection) -> list[str]:
    """The names of a connection's models that can be called and have no price now."""
    models = list(active_world().models.objects.filter(connection=connection.pk, is_enabled=True))
    prices = list_current_prices(models)
    return [model.name for model in models if model.pk not in prices]


def list_current_prices(models: Iterable[Model]) -> dict[UUID, list[ModelPrice]]:
    """Model id → the prices that hold now, one per currency, the newest first; models without one are
    missing.
    """
    rows = active_world().prices.objects.filter(
        model__in=[model.pk for model in models], valid_from__lte=timezone.now()
    )
    current: dict[UUID, list[ModelPrice]] = {}
    for row in rows.order_by("model_id", "currency", "-valid_from").distinct("model_id", "currency"):
        current.setdefault(row.model_id, []).append(row)
    for prices in current.values():
        prices.sort(key=lambda row: row.valid_from, reverse=True)
    return current
