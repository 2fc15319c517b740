"""The objects of other rooms to which rights of use and limits are given. Each room registers its kind; a
model is the first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from foundation.errors import InvalidInput, NotFound

MODEL = "model"


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object as the active tenant sees it: its own, or one that the platform offers it."""

    id: UUID
    name: str
    label: str = ""  # what people call it; empty: the name
    aliases: tuple[str, ...] = ()  # other names that lead to it

    def __str__(self) -> str:
        return two_names(self.name, self.label)


def two_names(name: str, label: str) -> str:
    """What people call something, with its technical name behind it where that is another one."""
    return f"{label} ({name})" if label and label != name else name


# lists all objects of a kind that the active tenant sees, also those that are switched off
_lists: dict[str, Callable[[], list[SeenObject]]] = {}
# what people call the objects of these names, also those that the tenant no longer sees
_labellers: dict[str, Callable[[Iterable[str]], dict[str, str]]] = {}


def register_objects(
    kind: str,
    list_seen: Callable[[], list[SeenObject]],
    label_names: Callable[[Iterable[str]], dict[str, str]],
) -> None:
    _lists[kind] = list_seen
    _labellers[kind] = label_names


def list_objects(kind: str) -> list[SeenObject]:
    """Raises InvalidInput for a kind that nobody registered."""
    if kind not in _lists:
        raise InvalidInput(_("There is no kind of object “%(kind)s”.") % {"kind": kind}, param="kind")
    return _lists[kind]()


def get_object(kind: str, wanted: UUID | str) -> SeenObject:
    """The object of this id or name. An id goes before a name that looks like it: else whoever names an
    object so would catch the rights of the other. Raises InvalidInput (kind), NotFound.
    """
    rows = list_objects(kind)
    by_id = {str(row.id): row for row in rows}
    by_name = {row.name: row for row in rows}
    if row := by_id.get(str(wanted).lower()) or by_name.get(str(wanted)):
        return row
    raise NotFound(
        _("There is no %(kind)s “%(name)s”.") % {"kind": kind, "name": str(wanted)[:100]}, param="object"
    )


def name_objects(kind: str) -> dict[UUID, str]:
    """Id → what it is called, of those the tenant sees."""
    return {row.id: str(row) for row in list_objects(kind)} if kind in _lists else {}


def label_objects(kind: str, names: Iterable[str]) -> dict[str, str]:
    """Name → what people call it, of all these names: the name itself where nobody calls it otherwise."""
    names = set(names)
    return _labellers[kind](names) if kind in _labellers else {name: name for name in names}
