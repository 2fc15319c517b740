"""The work of reading a document: fetched where it is a web page, parsed, cut and indexed by words. All that
others see of it changes in one transaction, the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from foundation.errors import InvalidInput
from foundation.told import Told
from foundation.told import gettext as _
from rag.engines.table import engine_named, find_answering, hands_over
from rag.holdings import make_room
from rag.models import PURPOSE, Collection, Document
from rag.pages import Page, PageGone, fetch_page
from rag.parsing.result import Parsed
from rag.parsing.run import parse
from rag.questions import note_passages, put_back
from rag.services import (
    add_document,
    forget_files,
    index_documents,
    note_reason,
    remove_documents,
)
from rag.twins import list_files
from rag.vision import find_page_model
from rag.work.patience import write_alone
from rag.work.scans import Asked, PagesWanted, read_asked, reader_of
from rag.work_names import EMBED, READ, RECRAWL, TRANSCRIBE
from tenants.files.models import File
from tenants.files.names import clean_title
from tenants.files.selectors import get_place
from tenants.files.services import store_file
from tenants.files.streams import read_blob
from tenants.local.models import Work
from tenants.work.runs import Run
from tenants.work.services import order

WAITING = (Document.State.WAITING, Document.State.READING)
UNTAKEN_FOR = timedelta(hours=6)  # files that this work brought and that no document took
MOST_ATTACHMENTS = 100
DEEPEST = 3  # mails in mails
READ_ELSEWHERE = ("document_scanned", "document_type")
UNTITLED = ("", "untitled", "unnamed document")


@dataclass(frozen=True, slots=True)
class Brought:
    """What is known of a document before it is kept."""

    file: File
    parsed: Parsed
    attachments: Sequence[File]
    page: Page | None


def read(run: Run) -> None:
    """Raises AtriumError: InvalidInput where the file itself is the reason, others where it may succeed
    later.
    """
    document = Document.objects.select_related("file", "collection").filter(pk=run.object_id).first()
    if document is None:
        return
    if document.state in WAITING:
        with run.step():
            Document.objects.filter(pk=document.pk).update(state=Document.State.READING)
    page, file = None, document.file
    if document.source == Document.Source.URL and (file is None or run.arguments.get("again")):
        try:
            page = _fetch(run, document)
        except PageGone:
            if document.state != Document.State.READY:
                raise
            return _conclude_gone(run, document)
        if page is None:
            return _conclude_unchanged(run, document)
        file = _store(page.content, document.address.rpartition("/")[2] or "page.html", page.declared_type)
    if file is None:
        raise InvalidInput(_("The file of this document is gone."), code="document_broken")
    try:
        brought = _parse(run, document, file, page)
    except PagesWanted as wanted:
        return _ask_model(run, document, file, wanted)
    run.progress("index", 0, 1)
    with run.step():
        make_room(document, brought.parsed.blocks)
    write_alone(run, document.collection_id, lambda: _keep(document.pk, brought), run.conclusion)
    if file.pk != document.file_id and not Document.objects.filter(file=file).exists():
        forget_files([file])


def _fetch(run: Run, document: Document) -> Page | None:
    run.progress("fetch", 0, 1)
    known = document.validators if document.state == Document.State.READY else {}
    page = fetch_page(document.address, known)
    run.progress("fetch", 1, 1)
    return page


def _parse(run: Run, document: Document, file: File, page: Page | None) -> Brought:
    run.progress("parse", 0, 1)
    content = page.content if page is not None else b"".join(read_blob(get_place(file.blob_id)))
    asked = read_asked(run.arguments)
    parsed = _read(content, file, document, asked)
    if asked is not None and asked.why and not _is_better(document, parsed):
        raise InvalidInput(asked.why, code="document_scanned")
    attachments = store_attachments(document, parsed)
    run.progress("parse", 1, 1)
    return Brought(file, parsed, attachments, page)


def store_attachments(document: Document, parsed: Parsed) -> list[File]:
    if not parsed.attachments or _depth_of(document) >= DEEPEST:
        return []
    wanted = parsed.attachments[:MOST_ATTACHMENTS]
    return [_store(one.content, one.name, one.declared_type) for one in wanted if one.content]


def _read(content: bytes, file: File, document: Document, asked: Asked | None) -> Parsed:
    """Nothing, where we find no text and another engine reads the file, too. Raises PagesWanted."""
    is_read_elsewhere = hands_over(document.collection)
    model = "" if is_read_elsewhere else find_page_model(document.collection)
    read_pages = reader_of(document, file.sha256, model, asked) if model else None
    try:
        return parse(content, name=file.name, declared_type=file.declared_type, read_pages=read_pages)
    except InvalidInput as exc:
        if exc.code not in READ_ELSEWHERE or not is_read_elsewhere:
            raise
        return Parsed(blocks=[])


def _is_better(document: Document, parsed: Parsed) -> bool:
    """Whether what was read in part says more than what stands there."""
    is_found = document.state == Document.State.READY
    return not is_found or len(parsed.scanned_pages) < document.scanned_page_count


def _ask_model(run: Run, document: Document, file: File, wanted: PagesWanted) -> None:
    """The document is read again when the model has read these pages."""
    then = {name: run.arguments[name] for name in ("again", "key", "project") if name in run.arguments}
    arguments = {
        "file": str(file.pk),
        "model": find_page_model(document.collection),
        "pages": wanted.pages,
        "is_picture": wanted.is_picture,
        "then": then,
    }
    with run.conclusion():
        order(TRANSCRIBE, document.pk, arguments=arguments, ordered_by=run.ordered_by)


def _store(content: bytes, name: str, declared_type: str) -> File:
    """A file that goes by itself unless a document takes it."""
    return store_file(
        [content],
        size_bytes=len(content),
        most_bytes=len(content),
        name=name,
        declared_type=declared_type,
        purpose=PURPOSE,
        owner_id=None,
        expires_at=timezone.now() + UNTAKEN_FOR,
    )


def _depth_of(document: Document) -> int:
    depth, parent = 0, document.parent
    while parent is not None and depth < DEEPEST:
        depth, parent = depth + 1, parent.parent
    return depth


def _keep(document_id: UUID, brought: Brought) -> None:
    """The document as it was read, in place of what stood there and of its earlier versions. With the
    collection locked.
    """
    rows = Document.objects.select_related("file", "collection")
    document = rows.filter(pk=document_id).first()  # as it is behind the lock
    if document is None:
        return
    collection = document.collection
    if brought.page is not None and not _take_page(collection, document, brought.page, brought.file):
        return
    keep_all(collection, {document: brought})
    order_next_look(document)


def keep_all(collection: Collection, brought: Mapping[Document, Brought]) -> None:
    """What was read in these documents, in place of what stood there and of their earlier versions. With the
    collection locked.
    """
    _describe(brought)
    index_documents(
        collection=collection, parsed={document: one.parsed.blocks for document, one in brought.items()}
    )
    has_read_it = not engine_named(find_answering(collection)).takes_files  # else once the engine has
    for document, one in brought.items():
        said = _say_left_out(one.parsed)
        if said or not has_read_it:
            note_reason(document.pk, said)
        if has_read_it:
            remove_earlier(collection, document)
        _take_attachments(collection, document, one.attachments)
        if one.parsed.read_by:
            used = {"content_hash": document.content_hash, "model": one.parsed.read_by}
            document.page_readings.exclude(**used).delete()
    order_vectors(collection)


def _describe(brought: Mapping[Document, Brought]) -> None:
    """What their contents say of themselves."""
    for document, one in brought.items():
        title = clean_title(one.parsed.title)[:300]
        is_unnamed = document.title in (document.address, document.file.name if document.file else "")
        if is_unnamed and title.lower() not in UNTITLED and title != document.title:
            document.title = title
            document.save(update_fields=["title", "updated_at"])
        document.page_count = one.parsed.page_count
        document.scanned_page_count = len(one.parsed.scanned_pages)
        document.facts = one.parsed.metadata
        document.read_by = one.parsed.read_by
        document.updated_at = timezone.now()
    told = ["page_count", "scanned_page_count", "facts", "read_by", "updated_at"]
    Document.objects.bulk_update(brought, told)


def _take_page(collection: Collection, document: Document, page: Page, file: File) -> bool:
    """What was fetched becomes the document's content. False where another document has the same bytes: then
    this one says so instead.
    """
    twin = collection.documents.filter(content_hash=file.sha256).exclude(pk=document.pk).first()
    document.fetched_at = timezone.now()
    document.validators = page.validators
    if twin is not None:
        message = _("The same content stands here already, as “%(title)s”.") % {"title": str(twin)}
        state = Document.State.FAILED if document.state in WAITING else document.state
        note_reason(document.pk, message, state=state, fetched_at=document.fetched_at)
        order_next_look(document)
        return False
    earlier: Sequence[File | None] = [document.file]
    if document.file_id is not None and document.content_hash != file.sha256:
        earlier = list_files([document])
        document.version += 1
        document.twins = []
    document.file = file
    document.content_hash = file.sha256
    File.objects.filter(pk=file.pk).update(expires_at=None)
    changed = ["file", "content_hash", "version", "twins", "fetched_at", "validators", "updated_at"]
    document.save(update_fields=changed)
    forget_files(earlier)
    return True


def _say_left_out(parsed: Parsed) -> str:
    """What a reader should know of what is not there; "" where all is."""
    told = [*parsed.notes]
    if not told:
        return ""
    said = told[0]
    for one in told[1:]:
        said = said + " " + one
    return said


def remove_earlier(collection: Collection, document: Document) -> None:
    """Earlier versions of the same file, whose saved questions come along. The document is read already."""
    if not document.address or document.parent_id is not None or document.source == Document.Source.URL:
        return
    if document.version == 1:
        return
    earlier = collection.documents.filter(
        address=document.address, parent=None, version__lt=document.version
    ).exclude(source=Document.Source.URL)
    ids = list(earlier.values_list("pk", flat=True))
    if ids:
        put_back(note_passages(ids), document)
        remove_documents(collection, ids)


def _take_attachments(collection: Collection, document: Document, files: Sequence[File]) -> None:
    """Also those that another mail brought before: they stay as long as one of both."""
    taken = []
    for file in files:
        child, is_new = add_document(
            actor=None,
            collection=collection,
            title=file.name[:300],
            content_hash=file.sha256,
            source=Document.Source.MAIL,
            address=file.name,
            file=file,
            parent=document,
            created_by=document.created_by,
            key_id=document.key_id,
            project_id=document.project_id,
        )
        if is_new:
            File.objects.filter(pk=file.pk).update(expires_at=None)
            order(READ, child.pk, ordered_by=document.created_by)
        if child.parent_id is not None:
            taken.append(str(child.pk))
    if taken:
        document.facts = document.facts | {"attachments": taken}
        document.save(update_fields=["facts"])


def order_vectors(collection: Collection) -> None:
    """For each index of the collection that wants some."""
    wanting = collection.generations.exclude(embedding_model="").values_list("pk", flat=True)
    for generation_id in wanting:
        order(EMBED, str(generation_id))


def order_next_look(document: Document) -> None:
    if document.source == Document.Source.URL and document.recrawl_days:
        due_at: datetime = timezone.now() + timedelta(days=document.recrawl_days)
        order(RECRAWL, document.pk, at=due_at, ordered_by=document.created_by)


def _conclude_unchanged(run: Run, document: Document) -> None:
    with run.conclusion():
        note_reason(document.pk, "", fetched_at=timezone.now())
        order_next_look(document)


def _conclude_gone(run: Run, document: Document) -> None:
    with run.conclusion():
        note_reason(document.pk, _("The page is gone; what was read before is kept."))
        order_next_look(document)


def look_again(run: Run) -> None:
    """The time has come to fetch a page once more."""
    document = Document.objects.filter(pk=run.object_id).first()
    if document is None or not document.recrawl_days:
        return
    with run.conclusion():
        order(READ, document.pk, arguments={"again": True}, ordered_by=document.created_by)


def note_failure(row: Work) -> None:
    """Reading came to nothing: what was found before stays, and says that this is old."""
    document = Document.objects.filter(pk=row.object_id).first()
    if document is None:
        return
    why = Told(row.error, row.error_words or row.error)
    if not document.blocks.exists():
        Document.objects.filter(pk=document.pk).update(held_bytes=0)
    if row.state == Work.State.CANCELLED:
        Document.objects.filter(pk=document.pk, state__in=WAITING).update(
            state=Document.State.STOPPED, reason="", reason_words=None
        )
    elif document.state in WAITING:
        note_reason(document.pk, why, state=Document.State.FAILED)
    else:
        said = _("Reading it again failed; what was read before is kept. %(why)s") % {"why": why}
        note_reason(document.pk, said)
    order_next_look(document)
