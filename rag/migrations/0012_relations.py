from django.db import migrations, models


class Migration(migrations.Migration):
    """What a language model reads of passages: relations, and which passages it was asked for."""

    dependencies = [("rag", '0011_vision_reading')]

    operations = [
        migrations.AddField(
            model_name="collection",
            name="relations_model",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Empty: the graph is built without a model.",
                max_length=120,
                verbose_name="model that reads relations",
            ),
        ),
        migrations.AddField(
            model_name="entity",
            name="kind",
            field=models.CharField(db_default="", default="", max_length=16),
        ),
        migrations.AddField(
            model_name="mention",
            name="is_read",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="Reading",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "chunk_id", "model", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("chunk_id", models.BigIntegerField()),
                ("generation_id", models.IntegerField()),
                ("model", models.CharField(max_length=120)),
                ("is_read", models.BooleanField()),
                ("order_id", models.UUIDField()),
            ],
            options={"indexes": [models.Index(fields=["generation_id"], name="rag_reading_generation")]},
        ),
        migrations.CreateModel(
            name="Relation",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "chunk_id", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("chunk_id", models.BigIntegerField()),
                ("number", models.SmallIntegerField()),
                ("generation_id", models.IntegerField()),
                ("subject_key", models.BigIntegerField()),
                ("predicate", models.CharField(max_length=80)),
                ("object_key", models.BigIntegerField()),
                ("evidence_from", models.IntegerField()),
                ("evidence_to", models.IntegerField()),
            ],
            options={"indexes": [models.Index(fields=["generation_id"], name="rag_relation_generation")]},
        ),
    ]
