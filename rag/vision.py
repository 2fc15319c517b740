"""Who reads the scanned pages and pictures of a collection: the text recognition of the machine, or a vision
model that the collection names.
"""

from accounts.models import User
from accounts.objects import two_names
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from foundation.told import ngettext
from models_registry.kinds import VISION
from rag.engines.table import hands_over
from rag.models import Collection
from rag.offered import list_chat_models
from rag.parsing.ocr import find_recogniser
from tenants.doors.hosts import KnownTenant


def list_vision_models(
    user: User, door: KnownTenant, policy: str = "", present: str = ""
) -> list[tuple[str, str]]:
    """Name and label of each that a person may have read documents of this data policy; `present`, which the
    collection has, is one of them whatever became of it.
    """
    found = {
        entry.route.name: two_names(entry.route.name, entry.route.label)
        for entry in list_chat_models(user, door, policy)
        if VISION in entry.route.capabilities
    }
    if present:
        found.setdefault(present, present)
    return list(found.items())


def check_vision_model(user: User, door: KnownTenant, name: str, policy: str) -> None:
    """Raises InvalidInput for one that the person may not have read documents of this data policy, or that
    sees nothing.
    """
    if name and name not in dict(list_vision_models(user, door, policy)):
        told = _(
            "There is no model of this name that reads images, you may not use it, or the data policy "
            "forbids it."
        )
        raise InvalidInput(told, param="vision_model")


def find_page_model(collection: Collection) -> str:
    """The model that reads scanned pages; "" where text recognition does, or nobody."""
    is_asked_first = collection.page_reader == Collection.PageReader.MODEL
    return collection.vision_model if is_asked_first or find_recogniser() is None else ""


def say_page_reader(collection: Collection) -> str:
    """What whoever brings a document should know before; "" where another engine reads the files."""
    if hands_over(collection):
        return ""
    if model := find_page_model(collection):
        most = collection.vision_pages
        said = ngettext(
            "Scanned pages and pictures (PNG, JPEG, WebP, TIFF) are read by the model “%(model)s”, at most "
            "%(count)d page of a document. Each page costs what a question to it costs.",
            "Scanned pages and pictures (PNG, JPEG, WebP, TIFF) are read by the model “%(model)s”, at most "
            "%(count)d pages of a document. Each page costs what a question to it costs.",
            most,
        )
        return said % {"model": model, "count": most}
    if find_recogniser() is not None:
        return _("Scanned pages and pictures (PNG, JPEG, WebP, TIFF) are read by text recognition.")
    return _("Scanned pages and pictures cannot be read: no vision model is chosen in the settings.")
