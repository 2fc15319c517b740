"""Collections, and what is said of one: who reads its pages, what makes its index."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from foundation.ids import uuid7
from tenants.data_policy import DataPolicy
from tenants.models import TimeStamped

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
