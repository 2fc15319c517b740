import django.contrib.postgres.fields
from django.db import migrations, models

FILL = """
UPDATE rag_chunk SET terms = found.terms
FROM (SELECT chunk_id, array_agg(term) AS terms FROM rag_posting GROUP BY chunk_id) found
WHERE found.chunk_id = rag_chunk.id
"""


class Migration(migrations.Migration):
    """The postings of a passage are found by its terms instead of by an index. These are numbers drawn by a
    hash: PostgreSQL need not try to compress them.
    """

    dependencies = [
        ('rag', '0012_relations'),
    ]

    operations = [
        migrations.AddField(
            model_name='chunk',
            name='terms',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), editable=False, null=True, size=None),
        ),
        migrations.RunSQL('ALTER TABLE rag_chunk ALTER COLUMN terms SET STORAGE EXTERNAL', migrations.RunSQL.noop),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RemoveIndex(
            model_name='posting',
            name='rag_posting_chunk',
        ),
    ]
