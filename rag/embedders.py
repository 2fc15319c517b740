"""The embedding models that a person may choose for a collection."""

from accounts.models import User
from accounts.objects import two_names
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from models_registry.kinds import ModelKind
from models_registry.offered import list_catalogue
from rag.models import Collection
from tenants.doors.hosts import KnownTenant

_KNOWN = {"e5-small": 384, "e5-base": 768, "e5-large": 1024, "bge-m3": 1024, "text-embedding-3-small": 1536}


def list_embedders(user: User, door: KnownTenant, present: str = "") -> list[tuple[str, str]]:
    """Name and label of each; `present`, which the collection has, is one of them whatever became of it."""
    found = {
        entry.route.name: two_names(entry.route.name, entry.route.label)
        for entry in list_catalogue(user, door)
        if entry.route.kind == ModelKind.EMBEDDING and not entry.policies
    }
    if present:
        found.setdefault(present, present)
    return list(found.items())


def find_dimensions(name: str) -> int | None:
    """Of the model's vectors; None: no model. Raises InvalidInput where nobody knows them."""
    if not name:
        return None
    used = Collection.objects.filter(embedding_model=name).values_list("dimensions", flat=True).first()
    if used is not None:
        return used
    for part, dimensions in _KNOWN.items():
        if part in name:
            return dimensions
    raise InvalidInput(_("Nobody knows how long this model's vectors are."), param="embedding_model")
