"""Which files came together is told by a row among the work. Those that are here already are told for thirty days
more.
"""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('rag', '0016_one_table_of_vectors'),
        ('local', '0003_work'),
    ]

    operations = [
        migrations.RunSQL(
            "INSERT INTO local_work (id, kind, object_id, queue, arguments, state, due_at, attempts, stages, cost, "
            "is_wanted_again, error_code, error, created_at, started_at, ended_at) "
            "SELECT id, 'rag.file_batch', collection_id::text, 'knowledge', "
            "jsonb_build_object('documents', document_ids, 'refused', refused_count), 'done', created_at, 0, '[]', 0, "
            "false, '', '', created_at, created_at, now() FROM rag_filebatch",
            ["INSERT INTO rag_filebatch (id, collection_id, document_ids, refused_count, created_at) "
            "SELECT id, object_id::uuid, ARRAY(SELECT jsonb_array_elements_text(arguments->'documents')::uuid), "
            "(arguments->>'refused')::int, created_at FROM local_work WHERE kind = 'rag.file_batch' "
            "AND object_id IN (SELECT id::text FROM rag_collection)",
             "DELETE FROM local_work WHERE kind = 'rag.file_batch'"],
        ),
        migrations.DeleteModel(
            name='FileBatch',
        ),
    ]
