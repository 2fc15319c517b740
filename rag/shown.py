"""Documents as lists show them: a state with its sign, size and pages, and what can be done."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from rag.models import Document, SavedQuestion
from rag.progress import DocumentProgress, Stage, describe_documents
from tenants.files.limits import say_size

State = Document.State
SIGNS = {
    State.WAITING: "off",
    State.READING: "running",
    State.READY: "good",
    State.FAILED: "bad",
    State.STOPPED: "warn",
}
PDF = "application/pdf"
KINDS = {
    PDF: "PDF",
    "docx": "Word",
    "pptx": "PowerPoint",
    "xlsx": "Excel",
    "csv": "CSV",
    "html": "HTML",
    "htm": "HTML",
    "md": "Markdown",
    "eml": pgettext_lazy("kind of a document", "e-mail"),
}


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """`question_count`: saved questions that it answers, which go with it."""

    row: Document
    progress: DocumentProgress
    question_count: int = 0

    @property
    def is_partly_read(self) -> bool:
        return self.row.state == State.READY and self.row.scanned_page_count > 0

    @property
    def sign(self) -> str:
        return "warn" if self.is_partly_read else SIGNS.get(State(self.row.state), "info")

    @property
    def label(self) -> str:
        return capfirst(str(State(self.row.state).label))

    @property
    def why(self) -> str:
        """Why it failed, or what could not be read of it."""
        return self.progress.why

    @property
    def stage(self) -> Stage | None:
        """What is being done with it."""
        return next((one for one in self.progress.stages if one.done < one.total), None)

    @property
    def percent(self) -> int | None:
        """Of the stage; None: nobody knows."""
        stage = self.stage
        return 100 * stage.done // stage.total if stage is not None and stage.total > 1 else None

    @property
    def kind(self) -> str:
        row = self.row
        if row.file is not None and row.file.sniffed_type == PDF:
            return "PDF"
        if row.source in (Document.Source.URL, Document.Source.TEXT):
            return str(capfirst(str(Document.Source(row.source).label)))
        extension = row.address.rpartition(".")[2].lower() if "." in row.address else ""
        return str(KINDS.get(extension) or capfirst(extension.upper()[:5]) or _("File"))

    @property
    def size_text(self) -> str:
        return say_size(self.row.file.size_bytes) if self.row.file is not None else ""

    @property
    def can_retry(self) -> bool:
        """Offered where it may help; a page of the web may have changed, too."""
        is_web = self.row.source == Document.Source.URL
        is_unread = self.row.state in (State.FAILED, State.STOPPED)
        return self.progress.can_retry and (is_unread or is_web or self.is_partly_read)

    @property
    def can_cancel(self) -> bool:
        return self.progress.can_cancel

    @property
    def is_unfinished(self) -> bool:
        is_unread = self.row.state in (State.WAITING, State.READING)
        return is_unread or self.progress.can_cancel or self.stage is not None


def show_documents(rows: Iterable[Document]) -> list[ShownDocument]:
    """In a fixed number of queries."""
    documents = list(rows)
    progress = describe_documents(documents)
    rows_of = SavedQuestion.objects.filter(document__in=documents).order_by().values_list("document")
    questions = dict(rows_of.annotate(count=Count("pk")))
    return [ShownDocument(row, progress[row.pk], questions.get(row.pk, 0)) for row in documents]
