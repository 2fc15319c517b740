"""Collections as objects to which rights of use are given."""

from collections.abc import Iterable

from accounts.objects import SeenObject, register_objects
from rag.models import Collection
from rag.selectors import COLLECTION


def list_collections() -> list[SeenObject]:
    return [SeenObject(row.pk, row.name) for row in Collection.objects.all()]


def label_collections(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


register_objects(COLLECTION, list_collections, label_collections)
