"""Collections, their documents, and the index of the pgvector engine.

An index is a generation: chunks, terms and vectors made in one way. Another way (analyzer, chunking,
embedding model) is another generation, made beside the one that answers. Postings and vectors carry no
foreign key: at thousands of rows a second each would be looked up again; `rag.engines.pgvector` removes them
with their chunk.
"""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ObjectDoesNotExist
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex

from foundation.ids import uuid7
from foundation.told import say
from tenants.data_policy import DataPolicy
from tenants.models import TimeStamped
from tenants.sealing import SealedTextField

DIMENSIONS = (384, 768, 1024, 1536)
MOST_VISION_PAGES = 300


class Language(models.TextChoices):
    ENGLISH = "en", _("English")
    GERMAN = "de", _("German")
    CHINESE = "zh", _("Chinese")


def all_languages() -> list[str]:
    return list(Language.values)


class Collection(TimeStamped):
    """Documents that are searched together. Who may read it: the rights of use of the kind “collection”."""

    class Engine(models.TextChoices):
        PGVECTOR = "pgvector", "PostgreSQL"
        RAGFLOW = "ragflow", "RAGFlow"

    class PageReader(models.TextChoices):
        AUTOMATIC = "automatic", _("the text recognition of this installation, else the vision model")
        MODEL = "model", _("the vision model")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=120)
    # a person's own documents, which nobody else sees; empty: shared, by the rights of use
    owner_id = models.UUIDField(_("belongs to"), null=True, editable=False)
    # who made it, or got it from whoever had it: also where it is shared, it stands among theirs
    keeper_id = models.UUIDField(null=True, editable=False)
    # the files brought into one conversation, which no list shows
    conversation_id = models.UUIDField(null=True, unique=True, editable=False)
    languages = ArrayField(
        models.CharField(max_length=2, choices=Language),
        verbose_name=_("languages"),
        default=all_languages,
        help_text=_("In which its documents are written."),
    )
    engine = models.CharField(_("engine"), max_length=16, choices=Engine, default=Engine.PGVECTOR)
    embedding_model = models.CharField(
        _("embedding model"),
        max_length=120,
        blank=True,
        help_text=_("Empty: found by words only."),
    )
    dimensions = models.PositiveSmallIntegerField(
        _("dimensions"), null=True, blank=True, choices=[(number, str(number)) for number in DIMENSIONS]
    )
    chunk_characters = models.PositiveSmallIntegerField(
        _("length of a passage"),
        default=900,
        validators=[MinValueValidator(200), MaxValueValidator(4000)],
        help_text=_(
            "How many characters of a document are found and cited as one passage: 200 to 4,000, in Chinese "
            "half as many. Short passages are more exact, long ones tell more."
        ),
    )
    data_policy = models.CharField(
        _("where data may go"), max_length=16, choices=DataPolicy, default=DataPolicy.ANYWHERE, blank=True
    )
    uses_graph = models.BooleanField(
        _("also find passages with the same names"),
        default=True,
        db_default=True,
        help_text=_(
            "Where the best passages name a person, place or work, further passages that name it are found "
            "as well."
        ),
    )
    vision_model = models.CharField(
        _("vision model"),
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text=_("Reads scanned pages and pictures. Empty: none."),
    )
    page_reader = models.CharField(
        _("who reads scanned pages"),
        max_length=9,
        choices=PageReader,
        default=PageReader.AUTOMATIC,
        db_default="automatic",
    )
    vision_pages = models.PositiveSmallIntegerField(
        _("most pages of a document that the vision model reads"),
        default=50,
        db_default=50,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_VISION_PAGES)],
    )
    relations_model = models.CharField(
        _("model that reads relations"),
        max_length=120,
        blank=True,
        default="",
        db_default="",
        help_text=_("Empty: the graph is built without a model."),
    )
    description = models.CharField(_("description"), max_length=500, blank=True)
    # what programs note of it, as at /v1/vector_stores
    metadata = models.JSONField(_("properties"), default=dict, blank=True)
    active_generation = models.ForeignKey(
        "Generation", null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("collection")
        verbose_name_plural = _("collections")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(embedding_model="", dimensions=None)
                | (~models.Q(embedding_model="") & models.Q(dimensions__in=DIMENSIONS)),
                name="rag_collection_model_with_dimensions",
            ),
            models.CheckConstraint(
                condition=models.Q(chunk_characters__gte=200, chunk_characters__lte=4000),
                name="rag_collection_chunk_range",
            ),
            models.CheckConstraint(
                condition=models.Q(page_reader="automatic") | ~models.Q(vision_model=""),
                name="rag_collection_page_reader",
                violation_error_message=_("Choose the vision model that reads scanned pages."),
            ),
            models.UniqueConstraint(
                fields=["name", "owner_id"],
                condition=models.Q(conversation_id=None),
                nulls_distinct=False,
                name="rag_collection_name",
                violation_error_message=_("There is a collection of this name."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_private(self) -> bool:
        """A person's own, or the files of a conversation: nobody else learns what they are called."""
        return self.owner_id is not None or self.conversation_id is not None

    def get_additional_data(self) -> dict[str, bool]:
        """What the audit log is told beside the change: `rag.audit` leaves private names out of it."""
        return {"is_private": self.is_private}


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
        Collection, verbose_name=_("collection"), on_delete=models.CASCADE, related_name="documents"
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


class FileBatch(models.Model):
    """Files that a program brought into a collection at once (/v1/vector_stores/…/file_batches)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="file_batches")
    document_ids = ArrayField(models.UUIDField(), default=list)
    refused_count = models.PositiveIntegerField(default=0)  # of its files, which became no documents
    cancelled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return str(self.pk)


class SavedQuestion(TimeStamped):
    """A question whose answer is known to stand somewhere: what the search of a collection is measured by."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(
        Collection, verbose_name=_("collection"), on_delete=models.CASCADE, related_name="questions"
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


class Block(models.Model):
    """A piece of a parsed document as its author made it: what chunks are cut from, in each generation."""

    class Kind(models.TextChoices):
        HEADING = "heading", _("heading")
        PARAGRAPH = "paragraph", _("paragraph")
        TABLE = "table", _("table")

    document = models.ForeignKey(
        Document, verbose_name=_("document"), on_delete=models.CASCADE, related_name="blocks"
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


class Generation(models.Model):
    """A collection's index, made in one way. The collection names the one that answers."""

    id = models.AutoField(primary_key=True)
    collection = models.ForeignKey(
        Collection, verbose_name=_("collection"), on_delete=models.CASCADE, related_name="generations"
    )
    engine = models.CharField(
        max_length=16, choices=Collection.Engine, default=Collection.Engine.PGVECTOR, db_default="pgvector"
    )
    remote_id = models.CharField(max_length=64, blank=True, default="", db_default="")  # RAGFlow's dataset
    analyzer_version = models.PositiveSmallIntegerField()
    chunk_characters = models.PositiveSmallIntegerField()
    embedding_model = models.CharField(max_length=120, blank=True)
    dimensions = models.PositiveSmallIntegerField(null=True)
    # German stems → chunks they occur in; learnt when there were so many chunks
    lexicon = models.JSONField(default=dict)
    lexicon_chunks = models.PositiveIntegerField(default=0)
    chunk_count = models.PositiveIntegerField(default=0)
    term_count = models.BigIntegerField(default=0)  # of all chunks, repetitions included
    vector_count = models.PositiveIntegerField(default=0)
    # language → what the words count in the search, from 0 to 1; the vectors count the rest
    weights = models.JSONField(default=dict)
    weighed_chunks = models.PositiveIntegerField(default=0)  # there were so many when these were found
    # who had it made, and pays for the vectors of what stood in the collection then
    ordered_by = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("index")
        verbose_name_plural = _("indexes")

    def __str__(self) -> str:
        return f"{self.collection_id} {self.pk}"


class ChunkManager(models.Manager["Chunk"]):
    def get_queryset(self) -> models.QuerySet["Chunk"]:
        """Without what no reader of a passage needs."""
        return super().get_queryset().defer("terms")


class Chunk(models.Model):
    """A passage that is found and cited: whole blocks, or a piece of one. `terms`: those of its postings, by
    which these are found when it goes: an index of the postings by passage cost a fifth of writing them.
    """

    generation = models.ForeignKey(
        Generation, on_delete=models.CASCADE, db_index=False, related_name="chunks"
    )
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    page_from = models.PositiveIntegerField(null=True)
    page_to = models.PositiveIntegerField(null=True)
    char_from = models.PositiveIntegerField()
    char_to = models.PositiveIntegerField()
    headings = ArrayField(models.TextField(), default=list)
    text = models.TextField()
    language = models.CharField(max_length=2, blank=True)
    remote_id = models.CharField(max_length=64, null=True)  # RAGFlow's chunk; None: cut here
    terms = ArrayField(models.BigIntegerField(), null=True, editable=False)

    objects = ChunkManager()

    class Meta:
        ordering = ["document", "position"]
        verbose_name = _("passage")
        verbose_name_plural = _("passages")
        constraints = [
            models.UniqueConstraint(fields=["generation", "document", "position"], name="rag_chunk_position")
        ]
        indexes = [
            models.Index(
                fields=["remote_id"], condition=models.Q(remote_id__isnull=False), name="rag_chunk_remote"
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


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

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="handed_over")
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


class TermCount(models.Model):
    """In how many chunks of a generation a term occurs. A term is a number (rag.engines.pgvector.words)."""

    pk = models.CompositePrimaryKey("generation_id", "term")
    term = models.BigIntegerField()
    generation_id = models.IntegerField()
    chunk_count = models.IntegerField()


class Posting(models.Model):
    """How often a term occurs in a chunk, and how many terms that has. The migration makes its key cover
    both, so that a search reads the index alone.
    """

    pk = models.CompositePrimaryKey("generation_id", "term", "chunk_id")
    term = models.BigIntegerField()  # the order of the columns leaves no gaps between them
    chunk_id = models.BigIntegerField()
    generation_id = models.IntegerField()
    frequency = models.SmallIntegerField()
    length = models.SmallIntegerField()


class Entity(models.Model):
    """A name that passages of a generation share. Its key is the number of its form (rag.graph.names)."""

    pk = models.CompositePrimaryKey("generation_id", "key")
    key = models.BigIntegerField()
    generation_id = models.IntegerField()
    name = models.CharField(max_length=80)  # as it was first written
    kind = models.CharField(max_length=16, default="", db_default="")  # as a model saw it (rag.graph.reading)


class Mention(models.Model):
    """That a passage says a name, or stands under a title that is one. Two names of one passage are related,
    and the passage is the evidence: no edge outlives it.
    """

    pk = models.CompositePrimaryKey("generation_id", "entity_key", "chunk_id")
    entity_key = models.BigIntegerField()
    chunk_id = models.BigIntegerField()
    generation_id = models.IntegerField()
    is_title = models.BooleanField()
    is_read = models.BooleanField(default=False, db_default=False)  # a model found it, nothing else

    class Meta:
        indexes = [models.Index(fields=["chunk_id"], name="rag_mention_chunk")]


class Reading(models.Model):
    """That a model was asked for the relations of a passage. One that gave nothing usable is asked again by
    the next order.
    """

    pk = models.CompositePrimaryKey("chunk_id", "model")
    chunk_id = models.BigIntegerField()
    generation_id = models.IntegerField()
    model = models.CharField(max_length=120)
    is_read = models.BooleanField()
    order_id = models.UUIDField()  # the work that asked

    class Meta:
        indexes = [models.Index(fields=["generation_id"], name="rag_reading_generation")]


class Relation(models.Model):
    """What a passage says of two names, as a model read it. The evidence is a piece of the passage's text, so
    that none can be shown which does not stand there.
    """

    pk = models.CompositePrimaryKey("chunk_id", "number")
    chunk_id = models.BigIntegerField()
    number = models.SmallIntegerField()
    generation_id = models.IntegerField()
    subject_key = models.BigIntegerField()
    predicate = models.CharField(max_length=80)
    object_key = models.BigIntegerField()
    evidence_from = models.IntegerField()
    evidence_to = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["generation_id"], name="rag_relation_generation")]


class VectorRow(models.Model):
    """A chunk's vector, of length 1. The graph of the index holds those marked so: below some 20,000 rows
    every vector is compared, which is exact, and a row outside the graph is written without searching it.
    """

    chunk_id = models.BigIntegerField(primary_key=True)
    generation_id = models.IntegerField()
    is_indexed = models.BooleanField(default=False)

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["generation_id", "is_indexed"], name="%(app_label)s_%(class)s_rows"),
            HnswIndex(
                fields=["embedding"],
                name="%(app_label)s_%(class)s_graph",
                m=16,
                ef_construction=64,
                opclasses=["halfvec_ip_ops"],
                condition=models.Q(is_indexed=True),
            ),
        ]


class Vector384(VectorRow):
    embedding = HalfVectorField(dimensions=384)


class Vector768(VectorRow):
    embedding = HalfVectorField(dimensions=768)


class Vector1024(VectorRow):
    embedding = HalfVectorField(dimensions=1024)


class Vector1536(VectorRow):
    embedding = HalfVectorField(dimensions=1536)
