"""The work of handing documents over to RAGFlow: uploaded, started, asked after until it is through, and what
it made of them copied. It waits for another server only, so that it may be asked again at any point; a file
goes up under a name that tells whether it is there already.
"""

import re
from datetime import timedelta
from pathlib import PurePath
from uuid import UUID

from django.utils import timezone

from foundation.errors import AtriumError, InvalidInput
from foundation.told import Own, Told, ngettext
from foundation.told import gettext as _
from rag.engines.pgvector import generations
from rag.engines.ragflow import account as accounts
from rag.engines.ragflow import copy
from rag.engines.ragflow.engine import forget_remote, want
from rag.engines.ragflow.errors import ARGUMENT, DATA, RagflowError
from rag.engines.ragflow.remote import CANCEL, DONE, FAIL, UNSTART, RemoteChunk, RemoteDocument
from rag.models import Collection, Document, Generation, RagflowAccount, RagflowDocument
from rag.services import note_reason
from rag.work.embedding import take_its_place
from rag.work.patience import write_alone
from rag.work.reading import remove_earlier
from rag.work_names import REBUILD
from tenants.files.selectors import get_place
from tenants.files.streams import read_blob
from tenants.local.models import Work
from tenants.turns import take_turns
from tenants.work.runs import Run
from tenants.work.services import order

State = RagflowDocument.State
LONGEST = timedelta(hours=2)  # that RAGFlow may read a document
LONGEST_PAUSE_S = 30  # between two questions after it
AWAY_PAUSE_S = 60  # while the server is away
MOST_NAME = 200  # bytes of a file's name there
_UNNAMED = re.compile(r"[^\w.-]+")


class Waiting(AtriumError):
    """RAGFlow is at it, or away: it is asked again."""

    http_status = 503
    code = "waiting"


def hand_over(run: Run) -> None:
    """Raises Waiting; InvalidInput where RAGFlow could not read the document."""
    rows = RagflowDocument.objects.filter(document=UUID(run.object_id), state=State.WAITING)
    account = accounts.find_account()
    for row in rows.select_related("generation__collection", "document__file").order_by("pk"):
        if account is None:
            raise InvalidInput(
                _("Your organisation has no RAGFlow account any more."), code="ragflow_account"
            )
        accounts.check_place(row.generation.collection.data_policy, account)
        try:
            with accounts.open_ragflow(account, accounts.WORKING) as ragflow:
                _advance(run, row, account, ragflow)
        except RagflowError as exc:
            if not exc.is_away:
                raise InvalidInput(exc.message, code=exc.code) from exc
            accounts.note_away(account, exc)
            raise Waiting(exc.message, code=exc.code, retry_after_s=AWAY_PAUSE_S) from exc


def _advance(run: Run, row: RagflowDocument, account: RagflowAccount, ragflow) -> None:
    """One document in one index, as far as it goes."""
    dataset = _find_dataset(run, row.generation_id, account, ragflow)
    if not row.remote_id:
        _upload(run, row, dataset, ragflow)
    there = ragflow.find_document(dataset, id=row.remote_id)
    if there is None:  # somebody deleted it there
        with run.step():
            RagflowDocument.objects.filter(pk=row.pk).update(remote_id="")
        raise Waiting(_("RAGFlow has lost this document; it is sent again."), retry_after_s=1)
    if there.run == DONE:
        _take(run, row, [one for one in ragflow.list_chunks(dataset, there.id) if one.text])
        return
    if row.started_at is None or there.run == UNSTART:
        _start(run, row, dataset, there, ragflow)
    elif there.run in (FAIL, CANCEL):
        raise InvalidInput(_say_why(there), code="ragflow_failed")
    run.progress("ragflow", round(100 * there.share), 100)
    _wait(run, row, dataset, ragflow)


def _find_dataset(run: Run, generation_id: int, account: RagflowAccount, ragflow) -> str:
    """The index's dataset, made where there is none: by one at a time, as equal names are several there."""
    with run.step():
        take_turns(f"dataset of {generation_id}")
        row = Generation.objects.defer("lexicon").filter(pk=generation_id).get()
        if not row.remote_id:
            name = f"atrium-{row.collection_id}-{row.pk}"
            row.remote_id = ragflow.find_dataset(name) or ragflow.create_dataset(
                name, account.embedding_model
            )
            row.save(update_fields=["remote_id"])
        return row.remote_id


def _upload(run: Run, row: RagflowDocument, dataset: str, ragflow) -> None:
    run.progress("upload", 0, 1)
    document = row.document
    if document.file is None:
        raise InvalidInput(_("The file of this document is gone."), code="document_broken")
    name = name_there(document)
    found = ragflow.find_document(dataset, name=name)
    if found is not None:
        remote_id = found.id
    else:
        content = b"".join(read_blob(get_place(document.file.blob_id)))
        remote_id = ragflow.upload(dataset, name, content)
    with run.step():
        row.remote_id = remote_id
        RagflowDocument.objects.filter(pk=row.pk).update(remote_id=remote_id)
    run.progress("upload", 1, 1)


def name_there(document: Document) -> str:
    """The file's name with what tells its content, so that the same is found again."""
    path = PurePath((document.file and document.file.name) or document.title or "document")
    ending = _UNNAMED.sub("", path.suffix)[:20] or ".txt"
    stem = _UNNAMED.sub("_", path.stem).encode()[:MOST_NAME].decode(errors="ignore") or "document"
    return f"{stem}.{document.content_hash[:16]}{ending}"


def _start(run: Run, row: RagflowDocument, dataset: str, there: RemoteDocument, ragflow) -> None:
    try:
        ragflow.start(dataset, there.id)
    except RagflowError as exc:
        if exc.code not in (DATA, ARGUMENT) or there.run == UNSTART:
            raise  # else it runs already
    with run.step():
        row.started_at = row.started_at or timezone.now()
        RagflowDocument.objects.filter(pk=row.pk).update(started_at=row.started_at)


def _wait(run: Run, row: RagflowDocument, dataset: str, ragflow) -> None:
    """Raises Waiting, or InvalidInput where it has taken too long."""
    if row.started_at is not None and timezone.now() - row.started_at > LONGEST:
        hours = LONGEST // timedelta(hours=1)
        told = ngettext(
            "RAGFlow was not through after %(count)d hour.",
            "RAGFlow was not through after %(count)d hours.",
            hours,
        )
        raise InvalidInput(told % {"count": hours}, code="ragflow_too_slow")
    with run.step():
        RagflowDocument.objects.filter(pk=row.pk).update(poll_count=row.poll_count + 1)
    pause_s = min(2**row.poll_count, LONGEST_PAUSE_S) if row.poll_count < 10 else LONGEST_PAUSE_S
    raise Waiting(_("RAGFlow is reading it."), retry_after_s=pause_s)


def _say_why(there: RemoteDocument) -> str:
    if there.run == CANCEL:
        return _("It was stopped in RAGFlow.")
    if not there.message:
        return _("RAGFlow could not read it.")
    return _("RAGFlow could not read it: %(why)s") % {"why": Own(there.message)}


def _take(run: Run, row: RagflowDocument, chunks: list[RemoteChunk]) -> None:
    if not chunks:
        raise InvalidInput(_("RAGFlow found no text in it."), code="document_empty")
    write_alone(run, row.generation.collection_id, lambda: _keep(row, chunks), run.step)
    run.progress("ragflow", 100, 100)


def _keep(row: RagflowDocument, chunks: list[RemoteChunk]) -> None:
    """With the collection locked."""
    locked = generations.lock(pk=row.generation_id)
    fresh = RagflowDocument.objects.filter(pk=row.pk, remote_id=row.remote_id).first()
    document = Document.objects.filter(pk=row.document_id).first()
    if not locked or fresh is None or document is None:
        return  # deleted meanwhile, or changed
    (generation,) = locked
    copy.keep(generation, document, chunks)
    forget_remote(generation.remote_id, fresh.earlier_id)
    fresh.earlier_id, fresh.state = "", State.DONE
    fresh.save(update_fields=["earlier_id", "state"])
    if Collection.objects.filter(active_generation=generation.pk).exists():
        Document.objects.filter(pk=document.pk).exclude(state=Document.State.READY).update(
            state=Document.State.READY, reason="", reason_words=None
        )
        remove_earlier(generation.collection, document)
    elif not generations.list_missing(generation).exists():
        take_its_place(generation)


def note_failure(row: Work) -> None:
    """It came to nothing: in the index that answers, the document says so; in one that is being made, its
    collection does.
    """
    waiting = RagflowDocument.objects.filter(document=UUID(row.object_id), state=State.WAITING)
    why = Told(row.error, row.error_words or row.error)
    is_cancelled = row.state == Work.State.CANCELLED
    for one in waiting.select_related("generation__collection", "document"):
        forget_remote(one.generation.remote_id, one.remote_id)
        one.state, one.remote_id = State.FAILED, ""
        one.save(update_fields=["state", "remote_id"])
        if one.generation_id != one.generation.collection.active_generation_id:
            order(REBUILD, one.generation.collection_id, arguments={"generation": one.generation_id})
        elif is_cancelled:
            _note(one.document_id, "", Document.State.STOPPED)
        else:
            _note(one.document_id, why, Document.State.FAILED)


def _note(document_id: UUID, why: str, state: str) -> None:
    """What was read before stays, and says that this is old."""
    if not Document.objects.filter(pk=document_id, state=Document.State.READY).exists():
        note_reason(document_id, why, state=state)
    elif why:
        said = _("Reading it again failed; what was read before is kept. %(why)s") % {"why": why}
        note_reason(document_id, said)


def fill(run: Run, generation: Generation) -> None:
    """What another index of the collection lacks is handed over; the last one that comes in lets it answer.
    Raises InvalidInput where RAGFlow could not read some, unless that was wanted once more.
    """
    is_again = bool(run.arguments.get("again"))
    write_alone(run, generation.collection_id, lambda: _want_missing(generation, is_again), run.conclusion)


def _want_missing(generation: Generation, is_again: bool) -> None:
    missing = list(generations.list_missing(generation))
    known = dict(generation.handed_over.values_list("document", "state"))
    lost = [document for document in missing if known.get(document.pk) == State.FAILED]
    if lost and not is_again:
        raise InvalidInput(_say_lost(lost), code="ragflow_failed")
    for document in missing:
        if known.get(document.pk) != State.WAITING:
            want(generation.pk, document)
    if not missing:
        take_its_place(generation)


def _say_lost(documents: list[Document]) -> str:
    told = ngettext(
        "RAGFlow could not read %(count)d document (%(title)s), so the old index goes on answering. Delete "
        "it, or make the index anew.",
        "RAGFlow could not read %(count)d documents (%(title)s and others), so the old index goes on "
        "answering. Delete them, or make the index anew.",
        len(documents),
    )
    return told % {"count": len(documents), "title": Own(documents[0])}


def forget(run: Run) -> None:
    """Remove a document or a dataset at RAGFlow, by its id; one that is gone is well. Raises Waiting."""
    account = accounts.find_account()
    if account is None:
        return
    dataset, document = run.arguments["dataset"], run.arguments.get("document")
    try:
        with accounts.open_ragflow(account, accounts.WORKING) as ragflow:
            if document:
                ragflow.delete_document(dataset, document)
            else:
                ragflow.delete_dataset(dataset)
    except RagflowError as exc:
        raise Waiting(exc.message, code=exc.code, retry_after_s=AWAY_PAUSE_S) from exc


def watch(run: Run) -> None:
    """Until RAGFlow answers again. Raises Waiting."""
    account = accounts.find_account()
    if account is None:
        return
    try:
        with accounts.open_ragflow(account, accounts.WORKING) as ragflow:
            ragflow.check()
    except RagflowError as exc:
        with run.step():
            accounts.note_check(account, exc.message)
        raise Waiting(exc.message, code=exc.code, retry_after_s=AWAY_PAUSE_S) from exc
    with run.conclusion():
        accounts.note_check(account, "")
