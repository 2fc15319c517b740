"""Questions that are asked again and again: an evaluation set of a collection."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from rag.models.collections import Collection
from rag.models.documents import Document
from tenants.models import TimeStamped


class SavedQuestion(TimeStamped):
    """A question whose answer is known to stand somewhere: what the search of a collection is measured by."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(
        Collection,
        verbose_name=_("collection"),
        on_delete=models.CASCADE,
        related_name="questions",
        db_index=False,  # rag_question_once begins with it
    )
    text = models.CharField(_("question"), max_length=500)
    # where its answer stands: somewhere in the document, or in this piece of its text; empty: not known yet
    document = models.ForeignKey(
        Document, verbose_name=_("document"), null=True, blank=True, on_delete=models.CASCADE
    )
    char_from = models.PositiveIntegerField(null=True, editable=False)
    char_to = models.PositiveIntegerField(null=True, editable=False)
    # its passage is not in the newest version of the document: it measures nothing until somebody looks
    is_outdated = models.BooleanField(default=False, db_default=False, editable=False)
    created_by = models.UUIDField(null=True, editable=False)

    class Meta:
        ordering = ["created_at", "pk"]
        verbose_name = _("saved question")
        verbose_name_plural = _("saved questions")
        constraints = [models.UniqueConstraint(fields=["collection", "text"], name="rag_question_once")]

    def __str__(self) -> str:
        return self.text
