"""The index of the pgvector engine.

An index is a generation: chunks, terms and vectors made in one way. Another way (analyzer, chunking,
embedding model) is another generation, made beside the one that answers. Postings and vectors carry no
foreign key: at thousands of rows a second each would be looked up again; `rag.engines.pgvector` removes them
with their chunk.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField, HnswIndex

from rag.models.collections import DIMENSIONS, Collection
from rag.models.documents import Document


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
        return super().get_queryset().defer("terms", "asked", "relations")


class Chunk(models.Model):
    """A passage that is found and cited: whole blocks, or a piece of one. `terms`: those of its postings, by
    which these are found when it goes: an index of the postings by passage cost a fifth of writing them.

    `asked`: which models were asked for its relations: model → {is_read, order}, `order` being the work that
    asked. One that gave nothing usable is asked again by the next order. `relations`: what the last model
    that read it says of two names: [subject, predicate, object, evidence_from, evidence_to], names by their
    keys (Entity). The evidence is a piece of the passage's text, so that none is shown which does not stand
    there.
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
    asked = models.JSONField(null=True, editable=False)
    relations = models.JSONField(null=True, editable=False)

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
            ),
            models.Index(
                fields=["generation"], condition=models.Q(asked__isnull=False), name="rag_chunk_asked"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


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


class Vector(models.Model):
    """A chunk's vector, of length 1, in the column of its dimension. The graph of the index holds those
    marked so: below some 20,000 rows every vector is compared, which is exact, and a row outside the graph is
    written without searching it.
    """

    chunk_id = models.BigIntegerField(primary_key=True)
    generation_id = models.IntegerField()
    is_indexed = models.BooleanField(default=False)
    embedding384 = HalfVectorField(dimensions=384, null=True)
    embedding768 = HalfVectorField(dimensions=768, null=True)
    embedding1024 = HalfVectorField(dimensions=1024, null=True)
    embedding1536 = HalfVectorField(dimensions=1536, null=True)

    class Meta:
        indexes = [
            models.Index(fields=["generation_id", "is_indexed"], name="rag_vector_rows"),
            *(
                HnswIndex(
                    fields=[f"embedding{dimensions}"],
                    name=f"rag_vector{dimensions}_graph",
                    m=16,
                    ef_construction=64,
                    opclasses=["halfvec_ip_ops"],
                    condition=models.Q(is_indexed=True),
                )
                for dimensions in DIMENSIONS
            ),
        ]
