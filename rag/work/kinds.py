"""The kinds of this room's work, all on the queue `knowledge`, which every worker serves."""

from django.utils.translation import gettext_lazy as _

from rag.work import batches, embedding, filling, handing, reading, relating, together, transcribing
from rag.work_names import (
    EMBED,
    FILE_BATCH,
    FORGET,
    HAND_OVER,
    QUEUE,
    READ,
    REBUILD,
    RECRAWL,
    RELATE,
    TRANSCRIBE,
    WATCH,
)
from rag.work_objects import name_collections, name_documents, name_generations
from tenants.work.kinds import Together, work_kind

DAYS_OF_ATTEMPTS = 900  # a quarter of an hour apart

work_kind(
    READ,
    queue=QUEUE,
    run=reading.read,
    label=_("Reading a document"),
    name_objects=name_documents,
    stages={"fetch": _("fetched"), "parse": _("read"), "index": _("indexed")},
    longest_s=1_800,
    on_failure=reading.note_failure,
    together=Together(most=together.MOST, choose=together.choose, run=together.read),
)
work_kind(
    TRANSCRIBE,
    queue=QUEUE,
    run=transcribing.transcribe,
    label=_("Scanned pages that a model reads"),
    name_objects=name_documents,
    stages={"pages": _("pages read by the model")},
    is_killable=False,
    on_failure=transcribing.note_failure,
)
work_kind(
    RECRAWL,
    queue=QUEUE,
    run=reading.look_again,
    label=_("Looking at a web page again"),
    name_objects=name_documents,
    is_killable=False,
)
work_kind(
    EMBED,
    queue=QUEUE,
    run=embedding.embed,
    label=_("Vectors of a collection"),
    name_objects=name_generations,
    stages={"embed": _("vectors"), "graph": _("graph of the vectors")},
    is_killable=False,
    most_attempts=DAYS_OF_ATTEMPTS,
)
work_kind(
    REBUILD,
    queue=QUEUE,
    run=filling.rebuild,
    label=_("Another index of a collection"),
    name_objects=name_collections,
    stages={"index": _("indexed")},
)
work_kind(
    RELATE,
    queue=QUEUE,
    run=relating.relate,
    label=_("Reading relations"),
    name_objects=name_collections,
    stages={"relations": _("passages read")},
    is_killable=False,  # it waits for the gateway of its process
    backoff_s=30.0,
)
work_kind(
    HAND_OVER,
    queue=QUEUE,
    run=handing.hand_over,
    label=_("A document that RAGFlow reads"),
    name_objects=name_documents,
    stages={"upload": _("sent to RAGFlow"), "ragflow": _("read by RAGFlow, in percent")},
    is_killable=False,
    most_attempts=DAYS_OF_ATTEMPTS,
    backoff_s=0.0,  # each pause is said by what is waited for
    on_failure=handing.note_failure,
)
work_kind(
    FORGET,
    queue=QUEUE,
    run=handing.forget,
    label=_("Deleting at RAGFlow"),
    is_killable=False,
    most_attempts=DAYS_OF_ATTEMPTS,
)
work_kind(
    WATCH,
    queue=QUEUE,
    run=handing.watch,
    label=_("Looking whether RAGFlow answers"),
    is_killable=False,
    most_attempts=DAYS_OF_ATTEMPTS,
    backoff_s=0.0,
)
work_kind(
    FILE_BATCH,
    queue=QUEUE,
    run=batches.take_nothing,
    label=_("Files that came together"),
    name_objects=name_collections,
    is_killable=False,
)
