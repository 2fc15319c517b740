"""Files of one tenant. Each blob's bytes lie at a path of its own, which is never used again, so that what is
removed cannot be what somebody else has just stored.
"""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from tenants.sealing import SealedTextField

MAX_NAME_BYTES = 255


class Blob(models.Model):
    """Bytes, or a place that is kept for some. Its row is there before the first byte and after the last."""

    class State(models.TextChoices):
        ARRIVING = "arriving", _("arriving")  # its size is what is reserved
        STORED = "stored", _("stored")
        PART = "part", _("part of an upload")
        GOING = "going", _("being removed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.ARRIVING)
    size_bytes = models.PositiveBigIntegerField(_("size"))
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    is_sealed = models.BooleanField(_("sealed"), default=False)
    sealed_key = SealedTextField()
    # of a part, also while it arrives: whose it is, and what the upload's clients call it
    upload = models.ForeignKey(
        "Upload", null=True, on_delete=models.SET_NULL, related_name="parts", db_index=False
    )
    part_id = models.UUIDField(null=True)
    # while it arrives: when somebody last worked on it
    touched_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("stored content")
        verbose_name_plural = _("stored contents")
        constraints = [
            models.UniqueConstraint(
                fields=["sha256", "is_sealed"],
                condition=models.Q(state="stored"),
                name="files_blob_once",
            ),
            models.UniqueConstraint(
                fields=["upload", "part_id"],
                condition=models.Q(upload__isnull=False),
                name="files_blob_part_once",
            ),
            models.CheckConstraint(
                condition=models.Q(upload__isnull=True) | models.Q(part_id__isnull=False),
                name="files_blob_part_named",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["arriving", "going"]) | ~models.Q(sha256=""),
                name="files_blob_hashed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "touched_at"],
                name="files_blob_unsettled",
                condition=~models.Q(state="stored"),
            )
        ]

    def __str__(self) -> str:
        return self.sha256[:12] or str(self.pk)


class File(models.Model):
    """What somebody calls some content, and for what it was brought."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", _("uploaded")
        PROCESSED = "processed", _("processed")
        ERROR = "error", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    blob = models.ForeignKey(
        Blob, verbose_name=_("stored content"), on_delete=models.PROTECT, related_name="files"
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_BYTES)
    declared_type = models.CharField(_("declared type"), max_length=120, blank=True)
    # by its first bytes; "": none that we know
    sniffed_type = models.CharField(_("type by content"), max_length=120, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size"))
    sha256 = models.CharField("SHA-256", max_length=64)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PROCESSED)
    purpose = models.CharField(_("purpose"), max_length=32)
    # nobody's: the organisation's
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("file")
        verbose_name_plural = _("files")
        indexes = [
            models.Index(fields=["owner", "purpose", "-id"], name="files_file_of_owner"),
            models.Index(
                fields=["expires_at"],
                name="files_file_expiring",
                condition=models.Q(expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Upload(models.Model):
    """A file that comes in parts, in any order, within an hour."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        COMPLETED = "completed", _("completed")
        CANCELLED = "cancelled", _("cancelled")
        EXPIRED = "expired", _("expired")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(_("name"), max_length=MAX_NAME_BYTES)
    declared_type = models.CharField(_("declared type"), max_length=120, blank=True)
    purpose = models.CharField(_("purpose"), max_length=32)
    size_bytes = models.PositiveBigIntegerField(_("size"))  # as it was promised, and reserved
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PENDING)
    expires_at = models.DateTimeField(_("expires at"))
    # of the file that it becomes, after its making
    file_expires_after_s = models.PositiveIntegerField(null=True)
    file = models.ForeignKey(
        File, verbose_name=_("file"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # into which somebody is putting the parts together
    assembling = models.ForeignKey(Blob, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        indexes = [
            models.Index(
                fields=["expires_at"], name="files_upload_pending", condition=models.Q(state="pending")
            )
        ]

    def __str__(self) -> str:
        return self.name

    def state_at(self, moment: datetime) -> str:
        """One whose time is over has expired, before anybody has noted it."""
        is_over = self.state == self.State.PENDING and self.expires_at <= moment
        return self.State.EXPIRED if is_over else self.state
