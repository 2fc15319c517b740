from django.db import migrations, models

FILL = """
UPDATE rag_chunk c SET asked = r.asked, relations = s.relations
FROM (
  SELECT chunk_id, jsonb_object_agg(model, jsonb_build_object('is_read', is_read, 'order', order_id)) AS asked
  FROM rag_reading GROUP BY chunk_id
) r LEFT JOIN (
  SELECT chunk_id, jsonb_agg(
    jsonb_build_array(subject_key, predicate, object_key, evidence_from, evidence_to) ORDER BY number
  ) AS relations
  FROM rag_relation GROUP BY chunk_id
) s ON s.chunk_id = r.chunk_id
WHERE c.id = r.chunk_id
"""
BACK = """
INSERT INTO rag_reading (chunk_id, generation_id, model, is_read, order_id)
SELECT c.id, c.generation_id, one.key, (one.value ->> 'is_read')::boolean, (one.value ->> 'order')::uuid
FROM rag_chunk c CROSS JOIN LATERAL jsonb_each(c.asked) one;
INSERT INTO rag_relation
  (chunk_id, number, generation_id, subject_key, predicate, object_key, evidence_from, evidence_to)
SELECT c.id, one.number - 1, c.generation_id, (one.value ->> 0)::bigint, one.value ->> 1,
  (one.value ->> 2)::bigint, (one.value ->> 3)::int, (one.value ->> 4)::int
FROM rag_chunk c CROSS JOIN LATERAL jsonb_array_elements(c.relations) WITH ORDINALITY AS one (value, number)
"""


class Migration(migrations.Migration):
    """What models have read of a passage stands in its row: two tables fewer in each tenant's schema."""

    dependencies = [("rag", "0017_batches_are_work")]

    operations = [
        migrations.AddField(
            model_name="chunk", name="asked", field=models.JSONField(editable=False, null=True)
        ),
        migrations.AddField(
            model_name="chunk", name="relations", field=models.JSONField(editable=False, null=True)
        ),
        migrations.RunSQL(FILL, BACK),
        migrations.DeleteModel("Reading"),
        migrations.DeleteModel("Relation"),
        migrations.AddIndex(
            model_name="chunk",
            index=models.Index(
                condition=models.Q(("asked__isnull", False)), fields=["generation"], name="rag_chunk_asked"
            ),
        ),
    ]
