"""Writing the further endpoints of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from foundation.errors import InvalidInput
from models_registry.services.prices import check_switching_on, is_paid_for
from models_registry.worlds import Connection, Model, active_world
from tenants.notify import announce

MAX_ENDPOINTS = 16


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """One further connection that has the model. Without a name of the provider's: the model's own there."""

    connection: Connection
    upstream_name: str = ""
    weight: int = 1


@transaction.atomic
def set_endpoints(*, actor: User | None, model: Model, endpoints: Sequence[EndpointSpec]) -> Model:
    """Give a model exactly these endpoints beside its own connection. Raises NotAllowed, InvalidInput (among
    others, where the operator would come to pay for a model without a price), ValidationError.
    """
    world = active_world()
    require(actor, world.may("change", "model"))
    row = world.models.objects.select_for_update().get(pk=model.pk)
    if len(endpoints) > MAX_ENDPOINTS:
        raise InvalidInput(
            _("A model has at most %(limit)d endpoints beside its own connection.")
            % {"limit": MAX_ENDPOINTS},
            param="endpoints",
        )
    wanted = {
        (spec.connection.pk, spec.upstream_name or row.upstream_name): spec.weight for spec in endpoints
    }
    if len(wanted) < len(endpoints) or (row.connection_id, row.upstream_name) in wanted:
        raise InvalidInput(_("This model has this endpoint already."), param="endpoints")
    was_paid_for = is_paid_for(world, row)
    kept = {(old.connection_id, old.upstream_name): old for old in row.endpoints.all()}
    for key, old in kept.items():
        if key not in wanted:
            old.delete()
    for (connection_id, upstream_name), weight in wanted.items():
        endpoint = kept.get((connection_id, upstream_name)) or world.endpoints(
            model=row, connection_id=connection_id, upstream_name=upstream_name
        )
        endpoint.weight = weight
        endpoint.full_clean()
        endpoint.save()
    if row.is_enabled and not was_paid_for and is_paid_for(world, row):
        check_switching_on(world, row, param="endpoints")
    announce("model", row.pk)
    return row
