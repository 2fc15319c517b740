"""Collections as objects to which rights of use are given."""

from collections.abc import Iterable

from accounts.objects import SeenObject, register_objects
from rag.models import Collection
from rag.selectors import COLLECTION


def list_collections() -> list[SeenObject]:
    """Those that are shared: a person's own, and the files of a conversation, are nobody else's business."""
    shared = Collection.objects.filter(owner_id=None, conversation_id=None)
    return [SeenObject(row.pk, row.name) for row in shared]


def label_collections(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


register_objects(COLLECTION, list_collections, label_collections)
