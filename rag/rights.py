"""Who may write in a collection: its owner, where it is a person's own; else by Django's permissions."""

from accounts.models import User
from accounts.permissions import require
from foundation.errors import NotFound
from foundation.told import gettext as _
from rag.models import Collection


def may_edit(user: User | None, collection: Collection, permission: str = "rag.change_collection") -> bool:
    """None is the command line, which may do everything."""
    if user is None:
        return True
    if collection.owner_id is not None:
        return user.is_active and user.pk == collection.owner_id
    return user.is_active and user.has_perm(permission)


def require_edit(user: User | None, collection: Collection, permission: str) -> None:
    """Raise NotAllowed; NotFound for another person's own collection, of which nobody else knows."""
    if may_edit(user, collection, permission):
        return
    if user is not None and collection.owner_id not in (None, user.pk):
        raise NotFound(_("There is no such collection."))
    require(user, permission)


def require_creation(user: User | None, owner_id: object) -> None:
    """Everybody who is let in may have collections of their own. Raises NotAllowed."""
    is_own = user is not None and user.is_active and owner_id == user.pk
    if not is_own:
        require(user, "rag.add_collection")
        if user is not None and owner_id is not None:
            raise NotFound(_("There is no such collection."))
