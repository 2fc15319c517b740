"""Documents of a collection, what was read in them, and what was paid for to read it."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ObjectDoesNotExist
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from foundation.told import say
from rag.models.collections import Collection
from tenants.models import TimeStamped

PURPOSE = "knowledge"  # of files that were brought for a document


class Document(TimeStamped):
    """One version of a file, page, text or mail in a collection. The same bytes are one document."""

    class Source(models.TextChoices):
        UPLOAD = "upload", _("file")
        URL = "url", _("web page")
        TEXT = "text", _("text")
        MAIL = "mail", _("e-mail")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        READING = "reading", _("being read")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(
        Collection,
        verbose_name=_("collection"),
        on_delete=models.CASCADE,
        related_name="documents",
        db_index=False,  # rag_document_once begins with it
    )
    title = models.CharField(_("title"), max_length=300, blank=True)
    source = models.CharField(_("source"), max_length=6, choices=Source, default=Source.UPLOAD)
    address = models.CharField(_("file name or address"), max_length=2000, blank=True)
    content_hash = models.CharField(max_length=64, editable=False)  # SHA-256 of its bytes, in hex
    version = models.PositiveIntegerField(_("version"), default=1)
    state = models.CharField(_("state"), max_length=7, choices=State, default=State.WAITING)
    # why it failed, or what was left out
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    reason_words = models.JSONField(null=True, editable=False)  # what it is made of (foundation.told)
    file = models.ForeignKey(
        "files.File",
        verbose_name=_("file"),
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # files of the same bytes that were brought, too (rag.twins)
    twins = ArrayField(models.UUIDField(), default=list, db_default=[], editable=False)
    # the mail or archive that brought it
    parent = models.ForeignKey(
        "self", null=True, editable=False, on_delete=models.CASCADE, related_name="attachments"
    )
    created_by = models.UUIDField(null=True, editable=False, db_index=True)
    # the key by which it came, and the project that pays for its vectors; empty: brought on a page
    key_id = models.UUIDField(null=True, editable=False)
    project_id = models.UUIDField(null=True, editable=False)
    # of its text and its index, as it was estimated before it was indexed (rag.holdings)
    held_bytes = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    page_count = models.PositiveIntegerField(_("pages"), null=True, editable=False)
    # pictures without a text that nobody could read
    scanned_page_count = models.PositiveIntegerField(_("scanned pages"), default=0, editable=False)
    # the vision model by which scanned pages were read; empty: by none
    read_by = models.CharField(
        _("read by"), max_length=120, blank=True, default="", db_default="", editable=False
    )
    recrawl_days = models.PositiveSmallIntegerField(
        _("look again after days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(365)],
    )
    fetched_at = models.DateTimeField(_("fetched"), null=True, editable=False)
    # what its server said of the page's version: header → value, sent back when it is asked again
    validators = models.JSONField(default=dict, editable=False)
    facts = models.JSONField(default=dict, editable=False)  # what its file says of itself: kind, author
    # what people and programs note of it, and search by
    metadata = models.JSONField(_("properties"), default=dict, blank=True)

    class Meta:
        ordering = ["title", "pk"]
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        constraints = [
            models.UniqueConstraint(fields=["collection", "content_hash"], name="rag_document_once")
        ]

    def __str__(self) -> str:
        return self.title or self.address

    def get_additional_data(self) -> dict[str, bool]:
        """As of its collection; of one that is gone already nobody knows, so it counts as private."""
        try:
            return self.collection.get_additional_data()
        except ObjectDoesNotExist:
            return {"is_private": True}

    @property
    def why(self) -> str:
        """The reason, in the language of whoever reads it."""
        return say(self.reason_words, self.reason)


class Block(models.Model):
    """A piece of a parsed document as its author made it: what chunks are cut from, in each generation."""

    class Kind(models.TextChoices):
        HEADING = "heading", _("heading")
        PARAGRAPH = "paragraph", _("paragraph")
        TABLE = "table", _("table")

    document = models.ForeignKey(
        Document,
        verbose_name=_("document"),
        on_delete=models.CASCADE,
        related_name="blocks",
        db_index=False,  # rag_block_position begins with it
    )
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=Kind, default=Kind.PARAGRAPH)
    text = models.TextField()
    page = models.PositiveIntegerField(null=True)  # None: the format knows no pages
    headings = ArrayField(models.TextField(), default=list)  # above it, the outermost first
    char_from = models.PositiveIntegerField()  # where it stands in the document's text
    char_to = models.PositiveIntegerField()
    box = ArrayField(models.FloatField(), null=True)  # left, bottom, right, top, in points of the page

    class Meta:
        ordering = ["document", "position"]
        verbose_name = _("part of a document")
        verbose_name_plural = _("parts of documents")
        constraints = [models.UniqueConstraint(fields=["document", "position"], name="rag_block_position")]

    def __str__(self) -> str:
        return f"{self.kind} {self.position}"


class PageReading(models.Model):
    """What a vision model has made of a page: paid for, and kept so that it is not asked for it again."""

    class Outcome(models.TextChoices):
        READ = "read"
        CUT = "cut"  # the model's answer ended before the page did
        BLANK = "blank"  # the model says that there is no text
        EMPTY = "empty"  # the model said nothing
        WITHHELD = "withheld"  # by the model's own filter
        UNDRAWN = "undrawn"  # the file's page could not be drawn

    UNREAD = (Outcome.EMPTY, Outcome.WITHHELD, Outcome.UNDRAWN)

    document = models.ForeignKey(  # the constraint begins with it
        Document, on_delete=models.CASCADE, related_name="page_readings", db_index=False
    )
    content_hash = models.CharField(max_length=64)  # of the file, as in Document
    page = models.PositiveIntegerField()
    page_hash = models.CharField(max_length=64, blank=True)  # of the picture that the model got
    model = models.CharField(max_length=120)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.READ)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ["document", "page"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "content_hash", "model", "page"], name="rag_page_reading_once"
            )
        ]
        # the same page in another version or document
        indexes = [models.Index(fields=["page_hash", "model"], name="rag_page_reading_hash")]

    def __str__(self) -> str:
        return f"{self.document_id} {self.page}"
