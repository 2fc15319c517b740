"""The guide's kind of work."""

from django.utils.translation import gettext_lazy as _

from rag.guide.collection import fill_guide
from rag.work_names import GUIDE, QUEUE
from rag.work_objects import name_collections
from tenants.work.kinds import work_kind

work_kind(
    GUIDE,
    queue=QUEUE,
    run=fill_guide,
    label=_("The guide to Atrium"),
    name_objects=name_collections,
    is_killable=False,
)
