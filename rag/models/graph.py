"""Names beside passages. What a chat model has read of how they are related stands with the passage
(rag.models.Chunk).
"""

from django.db import models


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
