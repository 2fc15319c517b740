"""The kinds of this room's work, all on the queue `knowledge`, which every worker serves."""

from django.utils.translation import gettext_lazy as _

from rag.work import embedding, reading
from rag.work_names import EMBED, QUEUE, READ, REBUILD, RECRAWL
from tenants.work.kinds import work_kind

DAYS_OF_ATTEMPTS = 900  # a quarter of an hour apart

work_kind(
    READ,
    queue=QUEUE,
    run=reading.read,
    label=_("Reading a document"),
    stages={"fetch": _("fetched"), "parse": _("read"), "index": _("indexed")},
    longest_s=1_800,
    on_failure=reading.note_failure,
)
work_kind(
    RECRAWL,
    queue=QUEUE,
    run=reading.look_again,
    label=_("Looking at a web page again"),
    is_killable=False,
)
work_kind(
    EMBED,
    queue=QUEUE,
    run=embedding.embed,
    label=_("Vectors of a collection"),
    stages={"embed": _("vectors"), "graph": _("graph of the vectors")},
    is_killable=False,
    most_attempts=DAYS_OF_ATTEMPTS,
)
work_kind(
    REBUILD,
    queue=QUEUE,
    run=embedding.rebuild,
    label=_("Another index of a collection"),
    stages={"index": _("indexed")},
)
