"""Tables that exist in every schema. Each world sees only its own."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from foundation.ids import uuid7
from foundation.told import say


class DataKey(models.Model):
    """The key that seals this schema's secrets, itself wrapped by the installation's master key. Deleting it
    shreds them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wrapped = models.BinaryField()  # a Fernet token of 32 random bytes
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"data key of {self.created_at:%Y-%m-%d}"


class Work(models.Model):
    """A piece of work that takes longer than a request, from its order to its end. Only `tenants.work` writes
    here; what runs it has a `tenants.work.runs.Run`.
    """

    class State(models.TextChoices):
        QUEUED = "queued", pgettext_lazy("background task", "waiting")
        RUNNING = "running", pgettext_lazy("background task", "running")
        DONE = "done", pgettext_lazy("background task", "done")
        FAILED = "failed", pgettext_lazy("background task", "failed")
        CANCELLED = "cancelled", pgettext_lazy("background task", "cancelled")

    ACTIVE = (State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=60)
    object_id = models.CharField(max_length=80)  # what it is done to; at most one active row of a kind has it
    queue = models.CharField(_("queue"), max_length=34)
    arguments = models.JSONField(default=dict, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.QUEUED, editable=False)
    due_at = models.DateTimeField(_("due"))  # waiting: when it may begin; running: when the lease ends
    claim = models.UUIDField(null=True)  # of the worker that has it: who comes with another writes nothing
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    stages = models.JSONField(default=list)  # [name, done, total] of each stage, in their order
    cost = models.DecimalField(_("cost so far"), max_digits=24, decimal_places=12, default=0)
    cancel_wanted_at = models.DateTimeField(_("cancelled by somebody"), null=True)
    is_wanted_again = models.BooleanField(default=False)  # it was ordered once more while it ran
    error_code = models.CharField(max_length=60, blank=True)
    error = models.CharField(_("reason"), max_length=500, blank=True)
    error_words = models.JSONField(null=True)  # what it is made of (foundation.told)
    ordered_by = models.UUIDField(null=True)  # the person
    created_at = models.DateTimeField(_("ordered"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("background task")
        verbose_name_plural = _("background tasks")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                name="local_work_one_active",
                condition=models.Q(state__in=["queued", "running"]),
            )
        ]
        indexes = [
            models.Index(
                fields=["queue", "due_at"],
                name="local_work_due",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["-created_at"], name="local_work_newest"),
            models.Index(fields=["kind", "object_id", "-created_at"], name="local_work_object"),
        ]

    # What a page calls it; rooms above know the words for kinds.
    shown_as: str = ""

    def __str__(self) -> str:
        return self.shown_as or self.kind

    @property
    def failure(self) -> str:
        """Why the last attempt failed, in the reader's language; "" where none did."""
        return say(self.error_words, self.error)

    @property
    def failure_for_others(self) -> str:
        """The same for those to whom it does not belong: without what people call their own."""
        return say(self.error_words, self.error, hides_own=True)


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
