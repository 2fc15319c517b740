"""Files of the same bytes that a collection keeps as one document: while one of them is there, so is it."""

from uuid import UUID

from django.db.models import F, Func, Value
from django.db.models.fields import UUIDField

from rag.models import Document
from tenants.files.models import File


def note_twin(document: Document, file: File) -> None:
    """Once, also when it is brought again. Inside a transaction."""
    kept = Document.objects.select_for_update().filter(pk=document.pk).get()
    if file.pk not in (kept.file_id, *kept.twins):
        Document.objects.filter(pk=document.pk).update(twins=[*kept.twins, file.pk])


def leave_to_twin(document: Document, file_id: UUID) -> bool:
    """Whether the document stays without this file, as that of another one. Inside a transaction."""
    kept = Document.objects.select_for_update().filter(pk=document.pk).get()
    if file_id != kept.file_id:
        without = Func(F("twins"), Value(file_id, UUIDField()), function="array_remove")
        Document.objects.filter(pk=kept.pk).update(twins=without)
        return True
    heir = File.objects.filter(pk__in=kept.twins).order_by("pk").first()
    if heir is None:
        return False
    Document.objects.filter(pk=kept.pk).update(
        file=heir,
        twins=[pk for pk in kept.twins if pk != heir.pk],
        # the name by which versions belong together, where that is made of the file's id
        address=kept.address.replace(file_id.hex, heir.pk.hex),
    )
    return True
