"""Several small documents of one collection read in one process: one jail, one transaction of the index.

Whatever is unusual in one of them (it cannot be read, takes long, is a web page, finds no room) is put back
and read alone (`reading`), so that it costs the others nothing and says its reasons there. Does not cover:
large documents, which are worth a process of their own.
"""

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from uuid import UUID

from django.db import transaction

from foundation.errors import InvalidInput, QuotaExceeded
from rag.engines.table import hands_over
from rag.holdings import make_room, make_room_for
from rag.models import Collection, Document
from rag.parsing.result import Parsed
from rag.parsing.run import Unread, parse_each
from rag.work.patience import write_alone
from rag.work.reading import WAITING, Brought, keep_all, store_attachments
from tenants.files.selectors import get_place
from tenants.files.streams import read_blob
from tenants.local.models import Work
from tenants.work.claims import ClaimLost
from tenants.work.runs import Run, Several

MOST = 64  # documents
MOST_BYTES, MOST_BYTES_OF_ONE = 4_000_000, 600_000
READING_S = 10.0  # after which the others are let go to whoever is free


def choose(first: Work, waiting: Sequence[Work]) -> list[Work]:
    """Of the documents that wait, those small ones of the first one's collection that are read with it."""
    ids = [row.object_id for row in (first, *waiting)]
    rows = Document.objects.filter(pk__in=ids, file__size_bytes__lte=MOST_BYTES_OF_ONE)
    found = rows.exclude(source=Document.Source.URL).values_list("pk", "collection", "file__size_bytes")
    known = {str(pk): (collection, size) for pk, collection, size in found}
    if first.object_id not in known:
        return []
    collection, room = known[first.object_id][0], MOST_BYTES - known[first.object_id][1]
    chosen = []
    for row in waiting:
        of, size = known.get(row.object_id, (None, 0))
        if of == collection and size <= room:
            room -= size
            chosen.append(row)
    return chosen


def read(several: Several) -> None:
    """Raises Unavailable, and whatever else; what is left then is read alone."""
    documents = _begin(several)
    if not documents or hands_over(next(iter(documents.values())).collection):
        return
    brought = _parse(several, documents)
    if not several.runs:
        return
    several.progress("parse", 1, 1)
    several.progress("index", 0, 1)
    collection_id = next(iter(documents.values())).collection_id
    write_alone(several, collection_id, lambda: _keep(several, collection_id, brought), several.conclusion)


def _begin(several: Several) -> dict[str, Document]:
    """The documents, by what the work calls them; they say from now on that they are being read."""
    ids = [run.object_id for run in several.runs]
    rows = Document.objects.select_related("file", "collection").filter(pk__in=ids).exclude(file=None)
    documents = {str(document.pk): document for document in rows}
    several.put_back([run for run in several.runs if run.object_id not in documents])
    with transaction.atomic():
        several.progress("parse", 0, 1)
        held = [run.object_id for run in several.runs]
        Document.objects.filter(pk__in=held, state__in=WAITING).update(state=Document.State.READING)
    return documents


def _parse(several: Several, documents: dict[str, Document]) -> dict[str, Brought]:
    """What stands in them. What has to be read alone is put back, what there was no time for is let go."""
    ends_at, runs = time.monotonic() + READING_S, list(several.runs)
    found: dict[str, Parsed] = {}
    with closing(parse_each([_open(documents[run.object_id]) for run in runs])) as outcomes:
        for run, parsed in zip(runs, outcomes, strict=True):
            if run not in several.runs:
                continue  # cancelled meanwhile
            if parsed is None or documents[run.object_id].file is None:
                several.put_back([run])
            else:
                found[run.object_id] = parsed
            if time.monotonic() > ends_at:
                break
            if several.runs:
                several.progress("parse", 0, 1)
    several.release([run for run in several.runs if run.object_id not in found])
    several.put_back(_list_without_room(several, documents, found))
    left = [run.object_id for run in several.runs]
    return {key: _bring(documents[key], found[key]) for key in left}


def _bring(document: Document, parsed: Parsed) -> Brought:
    if document.file is None:
        raise ValueError("A document without a file is read alone.")
    return Brought(document.file, parsed, store_attachments(document, parsed), None)


def _list_without_room(
    several: Several, documents: dict[str, Document], found: dict[str, Parsed]
) -> list[Run]:
    """Those for which there is none; the others have theirs."""
    held = {documents[run.object_id]: found[run.object_id].blocks for run in several.runs}
    if len({document.created_by for document in held}) == 1:
        with suppress(QuotaExceeded), transaction.atomic():
            make_room_for(held)
            several.check()
            return []
    return [run for run in several.runs if not _has_room(run, documents[run.object_id], found[run.object_id])]


def _has_room(run: Run, document: Document, parsed: Parsed) -> bool:
    try:
        with run.step():
            make_room(document, parsed.blocks)
    except (InvalidInput, ClaimLost):
        return False
    return True


def _open(document: Document) -> Unread:
    file = document.file
    if file is None:
        raise ValueError("A document without a file is read alone.")
    return Unread(b"".join(read_blob(get_place(file.blob_id))), file.name, file.declared_type)


def _keep(several: Several, collection_id: UUID, brought: dict[str, Brought]) -> None:
    """With the collection locked. Documents that are gone are passed over."""
    held: list[Run] = several.runs
    rows = Document.objects.select_related("file").filter(pk__in=[run.object_id for run in held])
    # of two versions the earlier one first, which the later one then removes
    documents = {document: brought[str(document.pk)] for document in rows.order_by("version", "pk")}
    if documents:
        keep_all(Collection.objects.filter(pk=collection_id).get(), documents)
