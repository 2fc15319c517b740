"""Documents of shared collections: what is read, what failed and why."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import service_admin
from foundation.spacing import listed
from rag.admin.collections import list_shared
from rag.intake import cancel_document, retry_document
from rag.models import Document
from rag.progress import describe_documents
from rag.services import delete_document

COLOURS = {
    Document.State.WAITING: "info",
    Document.State.READING: "info",
    Document.State.READY: "success",
    Document.State.FAILED: "danger",
    Document.State.STOPPED: "warning",
}


@admin.register(Document, site=service_admin)
class DocumentAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.KNOWLEDGE, 20, "file-text")
    keywords = _("file, ingestion, failed, index, retry")
    empty_text = _("Once documents come into a shared collection, you see here which failed, and why.")
    list_display = [
        "title",
        "collection",
        "show_state",
        "show_progress",
        "show_why",
        ago("created_at", _("added")),
    ]
    list_filter = [("state", ChoicesDropdownFilter), ("source", ChoicesDropdownFilter)]
    search_fields = ["title", "address", "collection__name"]
    list_select_related = ["collection"]
    ordering = ["-created_at", "-pk"]
    actions = ["read_again", "stop"]
    actions_detail = ["read_again", "stop"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "title",
                    "collection",
                    "source",
                    "address",
                    "version",
                    "show_state",
                    "show_progress",
                    "show_why",
                    "page_count",
                    "scanned_page_count",
                    "read_by",
                    "recrawl_days",
                    "fetched_at",
                    "created_at",
                ]
            },
        )
    ]
    readonly_fields = fieldsets[0][1]["fields"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).filter(collection__in=list_shared(request.user))

    def load_more(self, rows: list[Document]) -> None:
        progress = describe_documents(rows)
        for row in rows:
            row.progress = progress[row.pk]

    def has_read_permission(self, request: HttpRequest, obj: Document | None = None) -> bool:
        return request.user.has_perm("rag.change_document")

    def list_fitting_actions(self, request: HttpRequest, row: Document) -> set[str]:
        fitting = {"read_again": row.progress.can_retry, "stop": row.progress.can_cancel}
        return {name for name, is_so in fitting.items() if is_so}

    @display(description=_("state"), ordering="state", label=COLOURS)
    def show_state(self, row: Document) -> Badge:
        return Badge(row.state, row.get_state_display())

    @display(description=_("progress"))
    def show_progress(self, row: Document) -> str:
        said = gettext("%(stage)s: %(done)d of %(total)d")
        stages = row.progress.stages
        told = [said % {"stage": one.label, "done": one.done, "total": one.total} for one in stages]
        return listed(told) or "–"

    @display(description=_("reason"))
    def show_why(self, row: Document) -> str:
        return row.progress.why or "–"

    @confirmed(
        description=_("Read again"),
        icon="rotate-ccw",
        permissions=["read"],
        question=_("Read these documents again?"),
        explanation=_("What is found of them stays until they are read. Web pages are fetched again."),
        done=ngettext_lazy(
            "%(count)d document waits to be read.", "%(count)d documents wait to be read.", "count"
        ),
    )
    def read_again(self, request: HttpRequest, row: Document) -> None:
        retry_document(actor=request.user, document=row)

    @confirmed(
        description=_("Stop reading"),
        icon="ban",
        permissions=["read"],
        is_dangerous=True,
        question=_("Stop reading these documents?"),
        explanation=_("It ends within seconds. What was found of them before stays."),
        done=ngettext_lazy("%(count)d document is stopped.", "%(count)d documents are stopped.", "count"),
    )
    def stop(self, request: HttpRequest, row: Document) -> None:
        cancel_document(actor=request.user, document=row)

    def remove_row(self, request: HttpRequest, row: Document) -> None:
        delete_document(actor=request.user, document=row)
