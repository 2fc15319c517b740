import django.db.models.deletion
from django.db import migrations, models

# Django would drop the foreign key and check every row for it anew
DROP_AND_MAKE = (
    (
        "DROP INDEX IF EXISTS rag_document_collection_id_c8b38dd4",
        "CREATE INDEX rag_document_collection_id_c8b38dd4 ON rag_document (collection_id)",
    ),
    (
        "DROP INDEX IF EXISTS rag_block_document_id_6c5aa19b",
        "CREATE INDEX rag_block_document_id_6c5aa19b ON rag_block (document_id)",
    ),
    (
        "DROP INDEX IF EXISTS rag_savedquestion_collection_id_1c01d81f",
        "CREATE INDEX rag_savedquestion_collection_id_1c01d81f ON rag_savedquestion (collection_id)",
    ),
    (
        "DROP INDEX IF EXISTS rag_ragflowdocument_generation_id_a62c7ccb",
        "CREATE INDEX rag_ragflowdocument_generation_id_a62c7ccb ON rag_ragflowdocument (generation_id)",
    ),
)


class Migration(migrations.Migration):
    """Indexes of foreign keys go where that of a unique constraint begins with the same column."""

    dependencies = [("rag", "0013_terms_of_passages")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(drop, make) for drop, make in DROP_AND_MAKE
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="document",
                    name="collection",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="rag.collection",
                        verbose_name="collection",
                    ),
                ),
                migrations.AlterField(
                    model_name="block",
                    name="document",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blocks",
                        to="rag.document",
                        verbose_name="document",
                    ),
                ),
                migrations.AlterField(
                    model_name="savedquestion",
                    name="collection",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="questions",
                        to="rag.collection",
                        verbose_name="collection",
                    ),
                ),
                migrations.AlterField(
                    model_name="ragflowdocument",
                    name="generation",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="handed_over",
                        to="rag.generation",
                    ),
                ),
            ],
        ),
    ]
