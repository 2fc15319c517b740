"""What a person may read of this room. All work on the active tenant."""

from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.grants import list_closed_objects
from accounts.models import User
from foundation.errors import NotFound
from rag.models import Chunk, Collection, Document

COLLECTION = "collection"  # the kind of its rights of use


def list_visible_collections(user: User | None, project_id: UUID | None = None) -> QuerySet[Collection]:
    """The collections that a person who works on a project may search, as a query that the search takes into
    its statement. None is the command line, which sees all.
    """
    rows = Collection.objects.all()
    if user is None:
        return rows
    if not user.is_active:
        return rows.none()
    closed = list_closed_objects(COLLECTION, user, project_id or UUID(int=0))
    return rows.filter(Q(owner_id=user.pk) | Q(Q(owner_id=None) & ~Q(pk__in=closed)))


def get_visible_collection(
    user: User | None, wanted: UUID | str, project_id: UUID | None = None
) -> Collection:
    """One collection. Raises NotFound, also for one that the person may not read."""
    row = list_visible_collections(user, project_id).filter(pk=wanted).first()
    if row is None:
        raise NotFound(_("There is no such collection."))
    return row


def list_asked_models(collections: QuerySet[Collection]) -> list[str]:
    """The embedding models that a question to these collections must be embedded with: those of the indexes
    that answer, which may be others than the collections name for the next one.
    """
    models = collections.exclude(active_generation__embedding_model="").order_by()
    return sorted(set(models.values_list("active_generation__embedding_model", flat=True)) - {None})


def list_visible_documents(user: User | None, project_id: UUID | None = None) -> QuerySet[Document]:
    """The documents of the collections that a person may search."""
    return Document.objects.filter(collection__in=list_visible_collections(user, project_id))


def get_visible_chunk(user: User | None, chunk_id: int, project_id: UUID | None = None) -> Chunk:
    """A passage of an index that answers. Raises NotFound, also for one that the person may not read."""
    row = (
        Chunk.objects.filter(
            pk=chunk_id,
            generation__collection__in=list_visible_collections(user, project_id),
            generation=F("generation__collection__active_generation"),
        )
        .select_related("document")
        .first()
    )
    if row is None:
        raise NotFound(_("There is no such passage."))
    return row


def list_neighbours(chunk: Chunk, reach: int = 1) -> QuerySet[Chunk]:
    """The passages around one that the person may read, itself included, in their order."""
    return _of_same_document(chunk).filter(
        position__gte=chunk.position - reach, position__lte=chunk.position + reach
    )


def list_section(chunk: Chunk) -> QuerySet[Chunk]:
    """The passages under the same heading, itself included, in their order; its neighbours where it stands
    under none.
    """
    if not chunk.headings:
        return list_neighbours(chunk)
    return _of_same_document(chunk).filter(headings=chunk.headings)


def _of_same_document(chunk: Chunk) -> QuerySet[Chunk]:
    rows = Chunk.objects.filter(generation=chunk.generation_id, document=chunk.document_id)
    return rows.order_by("position")
