from django.db import migrations

# What was noted before of private collections and their documents, and of those that are gone.
FORGET = """
UPDATE auditlog_logentry SET
    object_repr = object_pk,
    changes = changes - ARRAY['name', 'title', 'address', 'description', 'metadata', 'file', 'parent'],
    additional_data = '{"is_private": true}'
WHERE content_type_id IN (
    SELECT id FROM django_content_type WHERE app_label = 'rag' AND model IN ('collection', 'document')
)
AND object_pk NOT IN (
    SELECT id::text FROM rag_collection WHERE owner_id IS NULL AND conversation_id IS NULL
    UNION ALL
    SELECT document.id::text FROM rag_document document
    JOIN rag_collection collection ON collection.id = document.collection_id
    WHERE owner_id IS NULL AND conversation_id IS NULL
)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('auditlog', '0017_add_actor_email'),
        ('rag', '0006_vector_stores'),
    ]

    operations = [migrations.RunSQL(FORGET, migrations.RunSQL.noop)]
