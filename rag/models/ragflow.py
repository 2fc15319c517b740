"""What is kept of RAGFlow: an account, and which document is which there."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from foundation.told import say
from rag.models.documents import Document
from rag.models.index import Generation
from tenants.models import TimeStamped
from tenants.sealing import SealedTextField


class RagflowAccount(TimeStamped):
    """The tenant's account at a RAGFlow server: one, with a key that belongs to nobody else."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    base_url = models.CharField(
        _("address"), max_length=500, help_text=_("Of the server, such as https://ragflow.example.org.")
    )
    secret = SealedTextField(_("API key"), help_text=_("Stored encrypted and never shown again."))
    embedding_model = models.CharField(
        _("embedding model"),
        max_length=200,
        blank=True,
        help_text=_("As RAGFlow calls it: name@provider. Empty: the one that the account has by default."),
    )
    last_checked_at = models.DateTimeField(_("checked"), null=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True, editable=False)
    last_error_words = models.JSONField(null=True, editable=False)

    class Meta:
        verbose_name = _("RAGFlow account")
        verbose_name_plural = _("RAGFlow accounts")
        constraints = [models.UniqueConstraint(models.Value(1), name="rag_ragflow_account_once")]

    def __str__(self) -> str:
        return self.base_url

    @property
    def failure(self) -> str:
        """The last error, in the language of whoever reads it."""
        return say(self.last_error_words, self.last_error)


class RagflowDocument(models.Model):
    """A document on its way into a dataset of RAGFlow's, or there."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"

    generation = models.ForeignKey(
        Generation,
        on_delete=models.CASCADE,
        related_name="handed_over",
        db_index=False,  # rag_handed_over_once begins with it
    )
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="handed_over")
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    remote_id = models.CharField(max_length=64, blank=True)
    earlier_id = models.CharField(max_length=64, blank=True)  # what answers until the new content is read
    content_hash = models.CharField(max_length=64)  # of what was handed over
    started_at = models.DateTimeField(null=True)
    poll_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["generation", "document"], name="rag_handed_over_once")
        ]

    def __str__(self) -> str:
        return self.remote_id
