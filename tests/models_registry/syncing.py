"""A provider's list, taken into the registry."""

from models_registry import services
from models_registry.services.catalogue import SyncReport
from models_registry.worlds import active_world


def offer_free() -> None:
    """All models of the active scope cost nothing, and those that waited for their price are on."""
    for row in active_world().models.objects.all():
        services.set_free(actor=None, model=row)


def sync(connection) -> SyncReport:
    """As the command line would."""
    return services.sync_catalogue(actor=None, connection=connection)
