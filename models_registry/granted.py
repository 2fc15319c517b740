"""Models as objects to which rights of use and limits are given: the tenant's own, and the platform's that
its plan offers.
"""

from accounts.objects import MODEL, SeenObject, register_objects
from models_registry.selectors import label_models, list_seen_models


def list_models() -> list[SeenObject]:
    return [SeenObject(row.pk, row.name, row.label, tuple(row.aliases)) for row in list_seen_models()]


register_objects(MODEL, list_models, label_models)
