"""Writing connections: added, changed, removed, tested."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from accounts.models import User
from accounts.permissions import require
from foundation import told
from foundation.errors import AtriumError, Conflict, InvalidInput, NotAllowed
from models_registry.addresses import may_be_local, names_private_address, origin_of, read_base_url
from models_registry.catalogue import fetch_catalogue
from models_registry.kinds import Location
from models_registry.providers.embedded import Embedded
from models_registry.providers.table import PROVIDERS, find_provider
from models_registry.services.names import keep_labels
from models_registry.services.prices import costs_the_platform, lacks_its_price
from models_registry.worlds import PLATFORM, Connection, World, active_world
from tenants.notify import announce
from tenants.sealing import BrokenSeal, NoDataKey, Secret

TIMEOUTS = ("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s", "total_timeout_s")
# what is written as it is given
PLAIN = ("location", "no_storage", "is_enabled", "token_limit_name", *TIMEOUTS)
CHANGEABLE = frozenset({"name", "kind", "base_url", "secret", "allow_private", *PLAIN})
MAX_SECRET = 4_000
# code of a failed check → what to do, where the failure itself does not say it
ADVICE = {
    "upstream_unreachable": gettext_noop(
        "Check that the server runs, and that host and port of the base address are right."
    ),
    "host_not_found": gettext_noop(
        "Check how the host is written in the base address, and whether this machine's name server knows it."
    ),
    "upstream_tls": gettext_noop(
        "Enter the host that the certificate is for, or have it renewed. The operator adds an authority of "
        "your own to those that this machine trusts."
    ),
    "upstream_key_refused": gettext_noop(
        "Enter a key that is valid, and may list models; whoever runs the account there can say so."
    ),
    "upstream_not_found": gettext_noop("Correct the base address, and choose the kind that fits the server."),
    "upstream_timeout": gettext_noop(
        "Check that no firewall stands in between and that the server is not overloaded; then test again."
    ),
    "upstream_error": gettext_noop(
        "Test again in a few minutes; if it stays, look into the server's log or at the provider's status "
        "page."
    ),
    "upstream_protocol": gettext_noop(
        "Check that the base address leads to the API, not to a page for people, and that the kind fits."
    ),
}
MAX_NAMES = 10  # that one refusal tells


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """What a look at the provider gave; `error` is empty where it answered with a list of models."""

    is_ok: bool
    latency_ms: int = 0
    model_count: int = 0
    error: str = ""


@transaction.atomic
def add_connection(
    *,
    actor: User | None,
    name: str,
    kind: str,
    base_url: str = "",
    secret: Secret | str = "",
    allow_private: bool = False,
    location: str | None = None,
    no_storage: bool = False,
    is_enabled: bool = True,
    token_limit_name: str = "",
    **timeouts: int | None,
) -> Connection:
    """Add a way to a provider. Without an address, the usual one of its kind. Calls nobody.

    Raises NotAllowed, InvalidInput (address, key), ValidationError (name taken, kind unknown).
    """
    world = active_world()
    require(actor, world.may("add", "connection"))
    # an unknown kind is full_clean's to refuse
    usual = PROVIDERS.get(kind)
    address = base_url or (usual.base_url if usual else "")
    if not address:
        raise InvalidInput(_("Enter the base address of the provider."), param="base_url")
    row = world.connections(
        name=name.strip(),
        kind=kind,
        no_storage=no_storage,
        is_enabled=is_enabled,
        secret=check_secret(secret),
        token_limit_name=token_limit_name,
        **timeouts,
    )
    row.location = _usual_location(kind, address) if location is None else location
    row.allow_private = _may_be_private(world, actor, address, allow_private)
    row.base_url = _one_form(row, address)
    _save(world, row)
    return row


@transaction.atomic
def update_connection(*, actor: User | None, connection: Connection, **changes: Any) -> Connection:
    """Change a connection. A `secret` that is not given stays, an empty one is removed.

    The key never travels to another host: a new address needs the key again. What the operator allowed a
    tenant for one address ends with it. Raises NotAllowed, InvalidInput (among others, where the operator
    would come to pay for models without a price), ValidationError.
    """
    world = active_world()
    require(actor, world.may("change", "connection"))
    unknown = set(changes) - CHANGEABLE
    if unknown:
        raise InvalidInput(
            _("A connection has no field “%(name)s”.") % {"name": min(unknown)}, param=min(unknown)
        )
    row = world.connections.objects.select_for_update().get(pk=connection.pk)
    was_paid_for = costs_the_platform(world, row)
    for name in changes.keys() & {"name", "kind", *PLAIN}:
        setattr(row, name, changes[name])
    if "base_url" in changes or "allow_private" in changes:
        _move(world, actor, row, changes)
    if "secret" in changes:
        row.secret = check_secret(changes["secret"])
    _save(world, row)
    if costs_the_platform(world, row) and not was_paid_for:
        _check_prices(world, row, "base_url" if "base_url" in changes else "location")
    return row


def _save(world: World, row: Connection) -> None:
    """Raises InvalidInput, ValidationError."""
    _check_kind(world, row)
    _check_location(world, row)
    row.full_clean()
    row.save()
    announce("connection", row.pk)


def _check_prices(world: World, row: Connection, param: str) -> None:
    """Raises InvalidInput where models that are switched on there have no price."""
    there = world.models.objects.filter(Q(connection=row.pk) | Q(endpoints__connection=row.pk))
    models = there.filter(is_enabled=True).select_related("connection").order_by("name").distinct()
    if names := [model.name for model in models if lacks_its_price(world, model)]:
        shown = ", ".join(names[:MAX_NAMES]) + ("…" if len(names) > MAX_NAMES else "")
        raise InvalidInput(
            _(
                "Models there have no price: %(names)s. All organisations would call them for nothing at "
                "your expense. Enter their prices first (0 if they are meant to cost nothing), or switch "
                "them off."
            )
            % {"names": shown},
            param=param,
        )


def _move(world: World, actor: User | None, row: Connection, changes: dict[str, Any]) -> None:
    """Give a connection another address, or other rights at its address."""
    address = changes.get("base_url", row.base_url)
    is_elsewhere = origin_of(address) != origin_of(row.base_url)
    if is_elsewhere and row.has_secret and "secret" not in changes:
        raise InvalidInput(
            _(
                "The address leads to another server. Enter the API key again, so that it is sent nowhere by "
                "mistake."
            ),
            param="secret",
        )
    wanted = changes.get(
        "allow_private",
        row.allow_private and not (is_elsewhere and actor is not None and world is not PLATFORM),
    )
    if wanted and row.allow_private and not is_elsewhere:
        row.allow_private = True
    else:
        row.allow_private = _may_be_private(world, actor, address, wanted)
    row.base_url = _one_form(row, address)
    if is_elsewhere and "location" not in changes:
        row.location = _usual_location(row.kind, row.base_url)


def _one_form(row: Connection, address: str) -> str:
    """Raises InvalidInput."""
    usual_path = find_provider(row.kind).usual_path
    return read_base_url(address, allow_private=row.allow_private, usual_path=usual_path).url


def _usual_location(kind: str, address: str) -> str:
    """Where a server at this address probably stands: policies are kept by it, so what nobody knows is
    unknown.
    """
    usual = PROVIDERS.get(kind)
    if usual and usual.base_url and origin_of(usual.base_url) == origin_of(address):
        return usual.location
    return Location.LOCAL if names_private_address(address) else Location.UNKNOWN


def _may_be_private(world: World, actor: User | None, address: str, wanted: bool) -> bool:
    """Whether the connection may reach private networks: the operator decides, by a flag or by
    entering such an address on the platform.
    """
    if world is PLATFORM:
        return wanted or names_private_address(address)
    if wanted and actor is not None:
        raise NotAllowed(
            _("Only the operator of the platform can allow a connection into a private network.")
        )
    return wanted


def _check_kind(world: World, row: Connection) -> None:
    if row.kind == Embedded.kind and world is not PLATFORM:
        raise InvalidInput(_("The embedded runtime belongs to the platform."), param="kind")


def _check_location(world: World, row: Connection) -> None:
    """Policies keep data in the house by what stands here: an organisation does not say so of itself."""
    is_claimed = row.location == Location.LOCAL and world is not PLATFORM
    if is_claimed and not may_be_local(row.base_url, allow_private=row.allow_private):
        raise InvalidInput(
            _(
                "This address is not known to be in this installation's own network. Only the operator of "
                "the platform can say that it is: `manage.py connection add … --allow-private`."
            ),
            code="location_not_local",
            param="location",
        )


def check_secret(secret: Secret | str) -> Secret:
    """The key as it is sent in a header. Raises InvalidInput for what no header can carry."""
    text = (secret.reveal() if isinstance(secret, Secret) else secret).strip()
    if len(text) > MAX_SECRET or not all(0x21 <= ord(character) <= 0x7E for character in text):
        raise InvalidInput(
            _("An API key has at most %(limit)d letters, digits and signs, without spaces.")
            % {"limit": MAX_SECRET},
            param="secret",
        )
    return Secret(text)


@transaction.atomic
def remove_connection(*, actor: User | None, connection: Connection, force: bool = False) -> None:
    """Remove a connection; with `force` also its models and their prices, and the endpoints that other models
    have there. Raises NotAllowed, Conflict while models use it.
    """
    world = active_world()
    require(actor, world.may("delete", "connection"))
    rows = world.models.objects.select_for_update().filter(connection=connection.pk)
    others = world.endpoints.objects.filter(connection=connection.pk)
    count = len({row.pk for row in rows} | set(others.values_list("model_id", flat=True)))
    if count and not force:
        message = ngettext(
            "%(count)d model uses this connection. Remove it first.",
            "%(count)d models use this connection. Remove them first.",
            count,
        )
        raise Conflict(message % {"count": count}, code="connection_in_use")
    others.delete()
    keep_labels(world, rows)
    rows.delete()
    world.connections.objects.filter(pk=connection.pk).delete()
    announce("connection", connection.pk)


def test_connection(*, actor: User | None, connection: Connection) -> ConnectionTest:
    """Ask the provider for its models and note the result. Raises only NotAllowed. Call it outside a
    transaction: it waits for the network.
    """
    require(actor, active_world().may("change", "connection"))
    try:
        found = fetch_catalogue(connection)
    except (AtriumError, BrokenSeal, NoDataKey) as exc:
        result = ConnectionTest(is_ok=False, error=describe_failure(exc))
    else:
        result = ConnectionTest(is_ok=True, latency_ms=found.latency_ms, model_count=len(found.models))
    note_check(connection, result.error)
    return result


def describe_failure(exc: Exception) -> str:
    """What went wrong, and what to do about it."""
    if not isinstance(exc, AtriumError):
        return told.gettext("The stored API key cannot be opened any more. Enter it again.")
    message = exc.message if isinstance(exc.message, str) else str(exc.message)
    advice = ADVICE.get(exc.code)
    if advice is None:
        return message
    return told.gettext("%(problem)s %(advice)s") % {"problem": message, "advice": told.gettext(advice)}


def note_check(connection: Connection, error: str) -> None:
    """Note when a provider was asked and what went wrong; not a change that anyone must hear of."""
    connection.last_checked_at = timezone.now()
    connection.last_error = str(error)
    connection.last_error_words = told.words_of(error)
    type(connection).objects.filter(pk=connection.pk).update(
        last_checked_at=connection.last_checked_at,
        last_error=connection.last_error,
        last_error_words=connection.last_error_words,
    )
