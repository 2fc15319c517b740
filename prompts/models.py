"""Conversations, their messages and what these are made of: a person's prompt history."""

from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.utils.translation import gettext_lazy as _

from foundation.ids import read_request_id, uuid7
from tenants.models import TimeStamped
from usage.models import MoneyField


class Conversation(TimeStamped):
    """A tree of messages of one person: each way from its beginning to a leaf is a branch of it, which reads
    like a thread. Its sums, of all branches, are kept with it, so that lists need not add up.
    """

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
    # whose documents its questions are answered from
    collection_ids = ArrayField(models.UUIDField(), default=list, db_default=Value("{}"), editable=False)
    model_name = models.CharField(_("model"), max_length=200, blank=True)
    # where the branch ends that was written to last: it opens there; empty before the first message
    leaf = models.ForeignKey(
        "prompts.Message",
        verbose_name=_("newest message"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
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
    """What a person said or a model answered, after another message or, the first, after none. Whoever puts a
    question differently, or has it answered anew, adds a sibling of what was there. What it says are its
    parts; those of an answer grow while it is being written.
    """

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
    # a notice of earlier releases, which changed a question where it stood: this answer was given before
    OF_EARLIER_QUESTION = "of_earlier_question"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="messages"
    )
    parent = models.ForeignKey(
        "self",
        verbose_name=_("follows"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="children",
    )
    # on its branch, from 1
    position = models.PositiveIntegerField(_("position"))
    role = models.CharField(_("role"), max_length=9, choices=Role)
    status = models.CharField(_("status"), max_length=11, choices=Status, default=Status.DONE)
    model_name = models.CharField(_("model"), max_length=200, blank=True)
    # the one that did not answer, where another stood in for it
    failed_model_name = models.CharField(
        max_length=200, blank=True, default="", db_default="", editable=False
    )
    # the process that writes the answer; its heartbeat tells whether it lives
    process_id = models.UUIDField(null=True, editable=False)
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
        indexes = [
            models.Index(fields=["conversation", "position"], name="prompts_message_place"),
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
    def text(self) -> str:
        """What it says, without what was thought for it."""
        return "".join(part.text for part in self.parts.all() if part.kind == Part.Kind.TEXT)

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


class Part(models.Model):
    """A piece of a message, of one kind: its ordinal is its place among the message's parts, from 0."""

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        REASONING = "reasoning", _("reasoning")
        TOOL_CALL = "tool_call", _("tool call")
        TOOL_RESULT = "tool_result", _("result of a tool")
        CITATION = "citation", _("citation")
        FILE = "file", _("file")
        IMAGE = "image", _("image")

    message = models.ForeignKey(
        Message,
        verbose_name=_("message"),
        on_delete=models.CASCADE,
        related_name="parts",
        db_index=False,  # the constraint below has one
    )
    ordinal = models.PositiveIntegerField()
    kind = models.CharField(max_length=11, choices=Kind)
    text = models.TextField(_("text"), blank=True, default="", db_default="")
    # what its kind has beside a text: which tool with what arguments, which source at which page
    data = models.JSONField(default=dict, db_default={}, blank=True)
    # of reasoning: how long it took
    duration_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["message", "ordinal"]
        verbose_name = _("part of a message")
        verbose_name_plural = _("parts of messages")
        constraints = [models.UniqueConstraint(fields=["message", "ordinal"], name="prompts_part_ordinal")]

    def __str__(self) -> str:
        return f"{self.kind} {self.ordinal}"
