"""Conversations and messages: a person's prompt history."""

from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import read_request_id, uuid7
from tenants.models import TimeStamped
from usage.models import MoneyField


class Conversation(TimeStamped):
    """A thread of messages of one person. Its sums are kept with it, so that lists need not add up."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="conversations",
    )
    # empty: the default project
    project = models.ForeignKey(
        "accounts.Project",
        verbose_name=_("project"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    title = models.CharField(_("title"), max_length=200)
    model_name = models.CharField(_("model"), max_length=200, blank=True)
    last_message_at = models.DateTimeField(_("last message"))
    total_tokens = models.PositiveBigIntegerField(_("tokens"), default=0, editable=False)
    total_cost = MoneyField(_("cost"), default=0, editable=False)
    currency = models.CharField(_("currency"), max_length=3, blank=True, editable=False)
    # of the messages that the last telling call was asked with
    bytes_per_token = models.FloatField(null=True, editable=False)

    class Meta:
        ordering = ["-last_message_at", "-pk"]
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            models.Index(fields=["user", "-last_message_at", "-id"], name="prompts_conversation_recent")
        ]

    def __str__(self) -> str:
        return self.title


class Message(TimeStamped):
    """What a person said or a model answered. An answer's text grows while it is being written."""

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting")
        STREAMING = "streaming", _("being written")
        DONE = "done", _("finished")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")

    UNFINISHED = (Status.PENDING, Status.STREAMING)
    # a notice: the question was changed since, and no answer to the new one has come
    OF_EARLIER_QUESTION = "of_earlier_question"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="messages"
    )
    position = models.PositiveIntegerField(_("position"))
    role = models.CharField(_("role"), max_length=9, choices=Role)
    text = models.TextField(_("text"), blank=True)
    status = models.CharField(_("status"), max_length=11, choices=Status, default=Status.DONE)
    model_name = models.CharField(_("model"), max_length=200, blank=True)
    # the one that did not answer, where another stood in for it
    failed_model_name = models.CharField(
        max_length=200, blank=True, default="", db_default="", editable=False
    )
    # the process that writes the answer; its heartbeat tells whether it lives
    process_id = models.UUIDField(null=True, editable=False)
    # the answer that the last attempt was to replace; it comes back if the attempt brings no text
    replaced = models.JSONField(null=True, editable=False)
    # of the last attempt, from its beginning
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    # the figures below hold that request's bill
    is_billed = models.BooleanField(default=True, db_default=True, editable=False)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True, default="", db_default="")
    # codes, separated by spaces: templates/prompts/_message_notice.html
    notice = models.CharField(_("notice"), max_length=80, blank=True)
    error_code = models.CharField(_("error"), max_length=60, blank=True)
    # in the language it was asked in; for whoever reads it later: what the text is made of (foundation.told)
    error_message = models.TextField(_("error message"), blank=True)
    error_words = models.JSONField(null=True, editable=False)
    error_language = models.CharField(max_length=20, blank=True, default="", db_default="", editable=False)
    input_tokens = models.PositiveIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveIntegerField(_("output tokens"), default=0)
    cost = MoneyField(_("cost"), default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    is_estimated = models.BooleanField(_("estimated"), default=False)

    class Meta:
        ordering = ["position"]
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.UniqueConstraint(fields=["conversation", "position"], name="prompts_message_position")
        ]
        indexes = [
            models.Index(
                fields=["process_id"],
                name="prompts_message_unfinished",
                condition=models.Q(status__in=["pending", "streaming"]),
            ),
            models.Index(
                fields=["process_id"], name="prompts_message_unbilled", condition=models.Q(is_billed=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.position}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in self.UNFINISHED

    @property
    def call_id(self) -> UUID:
        """The last attempt's call as the ledger knows it."""
        return read_request_id(self.request_id)

    @property
    def can_continue(self) -> bool:
        """Whether the answer broke off, by whatever cause, after some text, and its question still stands."""
        broke_off = self.status in (self.Status.STOPPED, self.Status.INTERRUPTED, self.Status.FAILED)
        return (
            bool(self.text)
            and self.OF_EARLIER_QUESTION not in self.notice
            and (broke_off or (self.status == self.Status.DONE and self.finish_reason == "length"))
        )
