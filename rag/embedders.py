"""The embedding models that a person may choose for a collection."""

from accounts.models import User
from accounts.objects import two_names
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.vectors import Payer, embed_now
from models_registry.kinds import ModelKind
from models_registry.offered import list_catalogue
from rag.models import DIMENSIONS, Collection
from tenants.context import current_tenant
from tenants.doors.hosts import KnownTenant


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


def find_dimensions(user: User, name: str) -> int | None:
    """Of the model's vectors: it is asked for one, on the person's bill; None: no model. Raises InvalidInput,
    and what a call may.
    """
    if not name:
        return None
    used = Collection.objects.filter(embedding_model=name).values_list("dimensions", flat=True).first()
    if used is not None:
        return used
    payer = Payer(current_tenant(), user.pk)
    vectors = embed_now(payer, name, ["Atrium"], source="knowledge")
    if len(vectors[0]) not in DIMENSIONS:
        told = _("This model gives vectors of %(size)d numbers; these can be kept: %(sizes)s.")
        sizes = ", ".join(map(str, DIMENSIONS))
        raise InvalidInput(told % {"size": len(vectors[0]), "sizes": sizes}, param="embedding_model")
    return len(vectors[0])
