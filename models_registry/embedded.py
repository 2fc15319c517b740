"""Following the embedded runtime: its models become the platform's as soon as it has them.

The runtime makes its first models while the platform serves already. A duty of the platform asks it until
none is being made any more.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from foundation import egress
from foundation.errors import AtriumError, InvalidInput
from models_registry.addresses import pinned_policy
from models_registry.first_models import FIRST_MODELS, PREPARING, FirstModel
from models_registry.kinds import Channel, ModelKind
from models_registry.providers.embedded import Embedded
from models_registry.services import add_model, set_model_price
from models_registry.worlds import Connection, Model, active_world
from tenants.models import Tenant
from tenants.sealing import BrokenSeal, NoDataKey
from tenants.work.duties import duty, note_duty

logger = logging.getLogger(__name__)

DUTY = "models_registry.runtime"
ASKED_AGAIN_AFTER = timedelta(seconds=3)  # while it makes models
TRIED_AGAIN_AFTER = timedelta(seconds=15)  # where it does not answer
KNOWN_FOR_S = 60  # a runtime that ends while it makes models is not waited for on pages


@dataclass(frozen=True, slots=True)
class Told:
    """What the runtime says of itself."""

    models: list[dict[str, Any]]
    preparing: dict[str, str]  # name → label of the chat models that are being made
    is_busy: bool  # whether any are


@duty(DUTY)
def follow_runtime() -> None:
    """Offer what the runtime has and is not offered yet, and ask again later while it makes models. Safe to
    call again; in no transaction, since it waits for the network.
    """
    connection = find_runtime()
    if connection is None or not connection.is_enabled:
        return
    try:
        told = ask_runtime(connection)
    except (AtriumError, BrokenSeal, NoDataKey) as exc:
        logger.info("the embedded runtime does not answer yet: %s", exc)
        note_duty(DUTY, timezone.now() + TRIED_AGAIN_AFTER)
        return
    offer_first_models(connection, told.models)
    note_preparing(list(_without_offered(connection, told.preparing).values()))
    if told.is_busy:
        note_duty(DUTY, timezone.now() + ASKED_AGAIN_AFTER)


def find_runtime() -> Connection | None:
    rows = active_world().connections.objects.filter(kind=Embedded.kind)
    return rows.order_by("created_at").first()


def ask_runtime(connection: Connection) -> Told:
    """Raises UpstreamError; BrokenSeal and NoDataKey where its token cannot be opened."""
    policy = pinned_policy(connection.base_url, allow_private=connection.allow_private)
    headers = Embedded().catalogue_headers(connection.open_secret())
    with egress.client(policy, headers=headers) as http:
        health = egress.read_json(http.get(f"{connection.base_url.removesuffix('/v1')}/health"))
        listed = egress.read_json(http.get(f"{connection.base_url}/models"))
    made = [entry for entry in _entries(health, "preparing") if entry.get("state") != "failed"]
    chat = {
        str(entry.get("id")): str(entry.get("display_name"))
        for entry in made
        if entry.get("kind") == ModelKind.CHAT
    }
    return Told(_entries(listed, "data"), chat, is_busy=bool(made))


def _entries(body: Any, name: str) -> list[dict[str, Any]]:
    entries = body.get(name) if isinstance(body, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _without_offered(connection: Connection, preparing: dict[str, str]) -> dict[str, str]:
    """Those that nobody can choose yet: the runtime makes models that it had before anew."""
    offered = active_world().models.objects.filter(connection=connection.pk, upstream_name__in=preparing)
    known = set(offered.values_list("upstream_name", flat=True))
    return {name: label for name, label in preparing.items() if name not in known}


def offer_first_models(connection: Connection, listed: list[dict[str, Any]]) -> list[str]:
    """Names of those that are new. What an operator has changed, switched off or renamed stays."""
    added = []
    models = active_world().models.objects
    for entry in listed:
        name, first = entry.get("id"), FIRST_MODELS.get(str(entry.get("id")))
        if first is None or entry.get("kind") not in ModelKind.values:
            continue
        if models.filter(connection=connection.pk, upstream_name=name).exists():
            continue
        try:
            add_first_model(connection, entry, first)
        except (InvalidInput, ValidationError) as exc:  # somebody's own has that name
            logger.info("the embedded runtime's %s is not offered: %s", name, exc)
            continue
        added.append(str(name))
    return added


@transaction.atomic
def add_first_model(connection: Connection, entry: dict[str, Any], first: FirstModel) -> Model:
    """A model of the platform with its prices, from the runtime's entry in its list of models. None is marked
    as the default: a mark outweighs the reader's language.
    """
    limits = {
        name: entry[name]
        for name in ("context_window", "default_max_output_tokens")
        if isinstance(entry.get(name), int)
    }
    model = add_model(
        actor=None,
        connection=connection,
        name=entry["id"],
        kind=entry["kind"],
        label=str(entry.get("display_name") or "")[:120],
        licence=str(entry.get("licence") or "")[:80],
        is_demo=entry.get("demo") is True,
        channel=Channel.EXPERIMENTAL if entry.get("channel") == Channel.EXPERIMENTAL else Channel.STABLE,
        notes=first.notes,
        languages=list(first.languages),
        **limits,
    )
    for currency in Tenant.Currency.values:
        set_model_price(actor=None, model=model, input=first.input, output=first.output, currency=currency)
    return model


def note_preparing(labels: list[str]) -> None:
    """For the pages; without the cache they say nothing of it."""
    try:
        cache.set(PREPARING, labels, KNOWN_FOR_S)
    except RedisError:
        logger.info("what the runtime prepares could not be noted", exc_info=True)
