"""Tables that exist in every schema. Each world sees only its own."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7


class DataKey(models.Model):
    """The key that seals this schema's secrets, itself wrapped by the installation's master key. Deleting it
    shreds them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wrapped = models.BinaryField()  # a Fernet token of 32 random bytes
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"data key of {self.created_at:%Y-%m-%d}"


class OutboxMessage(models.Model):
    """A task to send, written in the transaction that wants it; the relay sends it at least once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    task = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict, blank=True)
    queue = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"], name="local_outbox_unsent", condition=models.Q(sent_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return self.task


class WebOrigin(models.Model):
    """An origin whose web pages may read what `/v1` and `/api/v1` answer to this tenant's keys."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    origin = models.CharField(
        _("origin"),
        max_length=255,
        unique=True,
        help_text=_("Scheme, host and perhaps port of the web page, such as https://app.example.org."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["origin"]
        verbose_name = _("web origin")
        verbose_name_plural = _("web origins")

    def __str__(self) -> str:
        return self.origin
