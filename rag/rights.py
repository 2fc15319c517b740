"""Who may write in a collection."""

from accounts.models import User
from rag.models import Collection


def may_edit(user: User | None, collection: Collection) -> bool:
    """Its owner, of a private one; else whoever holds the right to change collections."""
    if user is None:
        return True
    if not user.is_active:
        return False
    if collection.owner_id is not None:
        return collection.owner_id == user.pk
    return user.has_perm("rag.change_collection")
