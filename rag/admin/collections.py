"""Shared collections: how far their documents and their index are, and why not further."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import service_admin
from foundation.spacing import listed
from rag.intake import rebuild_collection
from rag.models import Collection, Document, Language
from rag.progress import CollectionProgress, describe_collections
from rag.selectors import list_visible_collections
from rag.services import delete_collection

COLOURS = {"good": "success", "busy": "info", "stuck": "warning"}


def list_shared(user) -> QuerySet[Collection]:
    """Those of the organisation that the person may read."""
    return list_visible_collections(user).filter(owner_id=None, conversation_id=None)


@admin.register(Collection, site=service_admin)
class CollectionAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.KNOWLEDGE, 10, "box")
    empty_text = _("Once somebody shares a collection of documents, you see here how far its index is.")
    list_display = [
        "name",
        "show_documents",
        "show_passages",
        "show_vectors",
        "show_state",
        ago("created_at", _("made")),
    ]
    search_fields = ["name"]
    ordering = ["name", "pk"]
    actions = ["rebuild"]
    actions_detail = ["rebuild"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "show_documents",
                    "show_passages",
                    "show_vectors",
                    "show_state",
                    "show_problem",
                    "show_languages",
                    "engine",
                    "embedding_model",
                    "vision_model",
                    "page_reader",
                    "vision_pages",
                    "chunk_characters",
                    "data_policy",
                    "created_at",
                ]
            },
        )
    ]
    readonly_fields = fieldsets[0][1]["fields"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        return super().get_queryset(request).filter(pk__in=list_shared(request.user).values("pk"))

    def load_more(self, rows: list[Collection]) -> None:
        progress = describe_collections(rows)
        for row in rows:
            row.progress = progress[row.pk]

    def has_rebuild_permission(self, request: HttpRequest, obj: Collection | None = None) -> bool:
        return request.user.has_perm("rag.change_collection")

    @display(description=_("languages"))
    def show_languages(self, row: Collection) -> str:
        return listed(str(Language(language).label) for language in row.languages)

    @display(description=_("documents"))
    def show_documents(self, row: Collection) -> str:
        counts = row.progress.document_counts
        total = localize(sum(counts.values()))
        if not (failed := counts.get(Document.State.FAILED, 0)):
            return total
        said = gettext("%(total)s, of which %(failed)s failed")
        return said % {"total": total, "failed": localize(failed)}

    @display(description=_("passages"))
    def show_passages(self, row: Collection) -> str:
        return localize(row.progress.chunk_count)

    @display(description=_("vectors"))
    def show_vectors(self, row: Collection) -> str:
        return localize(row.progress.vector_count) if row.embedding_model else "–"

    @display(description=_("state"), label=COLOURS)
    def show_state(self, row: Collection) -> Badge:
        return _state_of(row.progress)

    @display(description=_("reason"))
    def show_problem(self, row: Collection) -> str:
        return row.progress.problem or "–"

    @confirmed(
        description=_("Index anew"),
        icon="rotate-ccw",
        permissions=["rebuild"],
        question=_("Index these collections anew?"),
        explanation=_(
            "The present index answers until the new one is complete. Vectors are made again for all "
            "documents, on your account."
        ),
        done=ngettext_lazy(
            "%(count)d collection is being indexed anew.",
            "%(count)d collections are being indexed anew.",
            "count",
        ),
    )
    def rebuild(self, request: HttpRequest, row: Collection) -> None:
        rebuild_collection(actor=request.user, collection=row)

    def remove_row(self, request: HttpRequest, row: Collection) -> None:
        delete_collection(actor=request.user, collection=row)


def _state_of(progress: CollectionProgress) -> Badge:
    counts = progress.document_counts
    if progress.problem:
        return Badge("stuck", gettext("waits"))
    if progress.is_rebuilding:
        return Badge("busy", gettext("is being indexed anew"))
    if counts.get(Document.State.WAITING) or counts.get(Document.State.READING) or not progress.is_complete:
        return Badge("busy", gettext("in work"))
    return Badge("good", gettext("complete"))
