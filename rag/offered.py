"""The models that a person may have read documents."""

from collections.abc import Iterator

from accounts.models import User
from models_registry.kinds import ModelKind
from models_registry.offered import Entry, list_catalogue
from models_registry.routes import is_allowed
from tenants.doors.hosts import KnownTenant


def list_chat_models(user: User, door: KnownTenant, policy: str) -> Iterator[Entry]:
    """Of the catalogue, those that may be given documents of this data policy."""
    for entry in list_catalogue(user, door):
        is_open = any(is_allowed(endpoint, policy) for endpoint in entry.endpoints)
        if entry.route.kind == ModelKind.CHAT and not entry.policies and is_open:
            yield entry
