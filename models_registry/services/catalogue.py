"""Bringing a connection's models in line with what its provider lists."""

import logging
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts.models import User
from accounts.permissions import require
from foundation.errors import AtriumError, UpstreamError
from foundation.told import gettext as _
from models_registry.catalogue import fetch_catalogue
from models_registry.kinds import Channel
from models_registry.providers.openai_compatible.catalogue import Catalogue, ListedModel
from models_registry.selectors import list_seen_models
from models_registry.services.connections import describe_failure, note_check
from models_registry.services.names import lock_names
from models_registry.services.prices import WAITS, costs_the_platform, lacks_its_price, without_mark
from models_registry.worlds import PLATFORM, Connection, Model, World, active_world
from tenants.audit import AT_ONCE, note_changes
from tenants.notify import announce
from tenants.sealing import BrokenSeal, NoDataKey

logger = logging.getLogger(__name__)

USUAL_OUTPUT_TOKENS = 4_096
# what a synchronisation changes of a model that stands already, beside when it was seen
FILLED = (
    "label",
    "context_window",
    "max_output_tokens",
    "default_max_output_tokens",
    "is_enabled",
    "vanished_at",
    "listed_price",
    "listed_values",
)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation changed: names of models, and how many entries no model could be made of.
    `returned`: those that had vanished and are listed again; `unpriced`: those of the added and returned ones
    that stay switched off until somebody prices them; `proposed`: the added ones whose price the catalogue
    names; `kept`: how many stood there and were not gone; `refused`: names that no model may have here.
    """

    added: list[str] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    kept: int = 0
    skipped: int = 0
    refused: list[str] = field(default_factory=list)


def sync_catalogue(*, actor: User | None, connection: Connection) -> SyncReport:
    """Add the models that the provider lists, switch off those that have vanished, and leave what an admin
    has set. New ones wait for their price, switched off; of the platform's those from elsewhere, and those
    that the catalogue asks money for. What the provider calls deprecated begins switched off, too.

    Safe to call again. Raises NotAllowed, UpstreamError. Call it outside a transaction: it waits for the
    network.
    """
    world = active_world()
    require(actor, world.may("change", "connection"))
    require(actor, world.may("add", "model"))
    try:
        found = fetch_catalogue(connection)
        if not found.models and any(map(_can_vanish, world.models.objects.filter(connection=connection.pk))):
            raise UpstreamError(
                _("The provider lists no models at the moment. Nothing was changed."), code="upstream_empty"
            )
    except (AtriumError, BrokenSeal, NoDataKey) as exc:
        failure = describe_failure(exc)
        note_check(connection, failure)
        if isinstance(exc, AtriumError):
            exc.message = failure
        raise
    report = apply_catalogue(world, connection, found)
    note_check(connection, "")
    return report


@transaction.atomic
def apply_catalogue(world: World, connection: Connection, found: Catalogue) -> SyncReport:
    """Write a catalogue into the registry. Two at once in one scope wait for each other, also those of two
    connections: where both list a name, the second one's is prefixed. Of a catalogue that is not whole
    nothing vanishes.
    """
    lock_names()
    world.connections.objects.select_for_update().get(pk=connection.pk)
    now = timezone.now()
    # locked, else what an administrator changes meanwhile is written over
    rows = list(world.models.objects.select_for_update().filter(connection=connection.pk).order_by("pk"))
    known = {row.upstream_name for row in rows}
    listed = {model.name: model for model in found.models}
    report = SyncReport()
    before = [copy(row) for row in rows]
    for row in rows:
        if row.upstream_name in listed:
            _note_listed(world, row, listed[row.upstream_name], report)
        elif found.is_whole and _can_vanish(row):
            row.is_enabled = False
            row.vanished_at = now
            report.vanished.append(row.name)
    _write_changed(world, list(zip(before, rows, strict=True)), now)
    world.models.objects.filter(connection=connection.pk, upstream_name__in=listed).update(listed_at=now)
    new = [model for name, model in listed.items() if name not in known]
    _add_models(world, connection, new, now, report)
    announce("connection", connection.pk)
    return replace(
        report,
        kept=len(known & listed.keys()) - len(report.returned),
        skipped=found.skipped + len(report.refused),
    )


def _can_vanish(row: Model) -> bool:
    return row.listed_at is not None and (row.is_enabled or row.waits_for_price)


def _write_changed(world: World, rows: list[tuple[Model, Model]], now: datetime) -> None:
    """Each as it was and as it is."""
    changed: list[tuple[Model, Model]] = []
    fields: set[str] = set()
    for before, row in rows:
        if names := {name for name in FILLED if getattr(before, name) != getattr(row, name)}:
            changed.append((before, row))
            fields |= names
    if changed:
        written = [row for _before, row in changed]
        world.models.objects.bulk_update(written, fields, batch_size=AT_ONCE)
        world.models.objects.filter(pk__in=[row.pk for row in written]).update(updated_at=now)
        note_changes(changed)


def _note_listed(world: World, row: Model, listed: ListedModel, report: SyncReport) -> None:
    """Renew what nobody has set; switch a model on again that only its absence had switched off."""
    row.listed_price = listed.proposal()
    _renew(row, listed)
    if row.vanished_at is not None:
        row.vanished_at = None
        report.returned.append(row.name)
        # the connection of one of the platform's may lead elsewhere by now
        if (world is PLATFORM or row.is_marked_waiting) and lacks_its_price(world, row):
            row.listed_values = {**(row.listed_values or {}), **WAITS}
            report.unpriced.append(row.name)
        else:
            row.listed_values = without_mark(row.listed_values)
            row.is_enabled = True


def _renew(row: Model, listed: ListedModel) -> None:
    """Write what the catalogue says by now wherever nothing stands, or what a synchronisation wrote. What it
    no longer says stays as it was last. Where nobody noted what one wrote, what the catalogue says just now
    is taken for that.
    """
    values = _values_of(listed)
    written = values if row.listed_values is None else row.listed_values
    usual = "default_max_output_tokens"
    noted: dict[str, Any] = dict(WAITS) if row.is_marked_waiting else {}
    for name in values.keys() - {usual}:
        if getattr(row, name) in (None, "", written.get(name)):
            noted[name] = values[name] or getattr(row, name)
            setattr(row, name, noted[name])
    if row.default_max_output_tokens == written.get(usual):
        noted[usual] = row.default_max_output_tokens = usual_output(row)
    elif row.max_output_tokens:
        row.default_max_output_tokens = min(row.default_max_output_tokens, row.max_output_tokens)
    row.listed_values = noted


def _add_models(
    world: World, connection: Connection, new: list[ListedModel], now: datetime, report: SyncReport
) -> None:
    """A name that the scope sees already is prefixed, the platform's too: that a model takes the place of
    another is for somebody to decide.
    """
    taken = {name for row in list_seen_models() for name in (row.name, *row.aliases)}
    prefix = slugify(connection.name) or "connection"
    is_paid_for = costs_the_platform(world, connection)
    rows: list[Model] = []
    for listed in new:
        name = listed.name if listed.name not in taken else f"{prefix}/{listed.name}"
        row = _make_model(world, connection, listed, name, now)
        needs_price = is_paid_for or world is not PLATFORM or listed.is_sold
        waits = needs_price and not listed.is_deprecated
        row.is_enabled = not needs_price and not listed.is_deprecated
        if waits:
            row.listed_values = {**(row.listed_values or {}), **WAITS}
        if not _may_be_added(row, taken):
            report.refused.append(listed.name)
            continue
        rows.append(row)
        taken.add(name)
        report.added.append(name)
        if waits:
            report.unpriced.append(name)
        if listed.price is not None:
            report.proposed.append(name)
    world.models.objects.bulk_create(rows, batch_size=AT_ONCE)
    note_changes((None, row) for row in rows)


def _make_model(world: World, connection: Connection, listed: ListedModel, name: str, now: datetime) -> Model:
    return world.models(
        name=name,
        connection_id=connection.pk,
        upstream_name=listed.name,
        kind=listed.kind,
        **_values_of(listed),
        listed_values=_values_of(listed),
        listed_at=now,
        # of what others list nobody has promised anything yet
        channel=Channel.STABLE if listed.is_stable else Channel.EXPERIMENTAL,
        stable_since=now.date() if listed.is_stable else None,
        listed_price=listed.proposal(),
    )


def _values_of(listed: ListedModel) -> dict[str, Any]:
    """What the catalogue says, by column."""
    return {
        "label": listed.label,
        "context_window": listed.context_window,
        "max_output_tokens": listed.max_output_tokens,
        "default_max_output_tokens": usual_output(listed),
    }


def _may_be_added(row: Model, taken: set[str]) -> bool:
    try:
        # not what asks the database, row by row: `read_catalogue` keeps its constraints
        row.clean_fields(exclude={"connection"})
        if row.name in taken:
            raise ValidationError(_("There is a model of this name already."))
    except ValidationError as exc:
        logger.info(
            "model %r of connection %s is not added: %s",
            row.upstream_name[:80],
            row.connection_id,
            "; ".join(exc.messages),
        )
        return False
    return True


def usual_output(known: ListedModel | Model) -> int:
    """How long an answer may be where nobody says: it must leave room for the question."""
    bounds = [
        USUAL_OUTPUT_TOKENS,
        known.max_output_tokens,
        max(1, known.context_window // 2) if known.context_window else None,
    ]
    return min(bound for bound in bounds if bound is not None)
