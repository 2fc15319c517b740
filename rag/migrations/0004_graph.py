from django.db import migrations, models


class Migration(migrations.Migration):
    """Names and the passages that say them; whether a collection's search follows them."""

    dependencies = [("rag", "0003_ingestion")]

    operations = [
        migrations.CreateModel(
            name="Entity",
            fields=[
                ("pk", models.CompositePrimaryKey("generation_id", "key", blank=True, editable=False, primary_key=True, serialize=False)),
                ("key", models.BigIntegerField()),
                ("generation_id", models.IntegerField()),
                ("name", models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name="Mention",
            fields=[
                ("pk", models.CompositePrimaryKey("generation_id", "entity_key", "chunk_id", blank=True, editable=False, primary_key=True, serialize=False)),
                ("entity_key", models.BigIntegerField()),
                ("chunk_id", models.BigIntegerField()),
                ("generation_id", models.IntegerField()),
                ("is_title", models.BooleanField()),
            ],
            options={"indexes": [models.Index(fields=["chunk_id"], name="rag_mention_chunk")]},
        ),
        migrations.AddField(
            model_name="collection",
            name="uses_graph",
            field=models.BooleanField(db_default=True, default=True, help_text="Passages that share names with the best finds are found, too.", verbose_name="follow names"),
        ),
    ]
