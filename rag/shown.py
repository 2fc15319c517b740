"""Documents as lists show them: a state with its sign, size and pages, and what can be done."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from rag.models import Document
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
    row: Document
    step: str = ""  # what is being done with it
    percent: int | None = None  # of that step; None: nobody knows

    @property
    def sign(self) -> str:
        is_partly_read = self.row.state == State.READY and self.row.scanned_page_count
        return "warn" if is_partly_read else SIGNS.get(State(self.row.state), "info")

    @property
    def label(self) -> str:
        return capfirst(str(State(self.row.state).label))

    @property
    def why(self) -> str:
        """Why it failed, or what could not be read of it."""
        if self.row.why or not self.row.scanned_page_count:
            return self.row.why
        count = self.row.scanned_page_count
        return ngettext(
            "%(count)s page is a picture and could not be read.",
            "%(count)s pages are pictures and could not be read.",
            count,
        ) % {"count": count}

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
        return self.row.state in (State.FAILED, State.STOPPED)

    @property
    def can_cancel(self) -> bool:
        return self.is_unfinished

    @property
    def is_unfinished(self) -> bool:
        return self.row.state in (State.WAITING, State.READING)


def show_documents(rows: Iterable[Document]) -> list[ShownDocument]:
    return [ShownDocument(row) for row in rows]
