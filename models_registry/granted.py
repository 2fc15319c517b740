"""Models as objects to which rights of use and limits are given: the tenant's own, and the platform's that
its plan offers.
"""

from django.db.models import Q

from accounts.objects import MODEL, SeenObject, register_objects
from models_registry.selectors import names_of
from models_registry.worlds import active_world
from tenants.context import find_tenant, platform
from tenants.selectors import get_plan_id


def list_seen_models() -> list[SeenObject]:
    """All, also those that are switched off; a name or alias of the tenant's own hides the platform's."""
    slug = find_tenant()
    world = active_world()
    own = [SeenObject(row.pk, row.name) for row in world.models.objects.only("name")]
    if slug is None:
        return own
    hidden, plan_id = names_of(world), get_plan_id()
    with platform():
        offered = active_world().models.objects.filter(Q(plans=plan_id) | Q(plans=None)).distinct()
        return own + [SeenObject(row.pk, row.name) for row in offered if row.name not in hidden]


register_objects(MODEL, list_seen_models)
