"""Names beside passages, and what a chat model has read of how they are related."""

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
