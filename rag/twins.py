"""Files of the same bytes that a collection keeps as one document: while one of them is there, so is it."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F, Func, Value
from django.db.models.fields import UUIDField

from rag.models import PURPOSE, Document
from tenants.files.models import File


def note_twin(document: Document, file: File) -> bool:
    """Once, also when it is brought again. False: it is not needed, since it was brought for a document alone
    and another one was, too. Inside a transaction.
    """
    kept = Document.objects.select_for_update().filter(pk=document.pk).get()
    here = (kept.file_id, *kept.twins)
    others = [pk for pk in here if pk not in (None, file.pk)]
    if file.purpose == PURPOSE and File.objects.filter(pk__in=others, purpose=PURPOSE).exists():
        return False
    if file.pk not in here:
        Document.objects.filter(pk=document.pk).update(twins=[*kept.twins, file.pk])
    return True


def list_files(documents: Iterable[Document]) -> list[File]:
    """All that these documents hold."""
    found = [(document.file, document.twins) for document in documents]
    twins = File.objects.filter(pk__in=[pk for _file, twins in found for pk in twins])
    return [*(file for file, _twins in found if file is not None), *twins]


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
