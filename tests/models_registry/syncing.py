"""A provider's list, taken into the registry."""

from models_registry import services
from models_registry.services.catalogue import SyncReport


def sync(connection) -> SyncReport:
    """As the command line would."""
    return services.sync_catalogue(actor=None, connection=connection)
