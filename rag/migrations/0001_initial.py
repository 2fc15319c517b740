import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import pgvector.django.halfvec
import pgvector.django.indexes
from django.db import migrations, models

import foundation.ids
import rag.models


class Migration(migrations.Migration):
    """Collections, documents and the index. The graphs of the vectors are made here, once and empty: no web
    process may create indexes.
    """

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Collection",
            fields=[
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                ("id", models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120, unique=True, verbose_name="name")),
                ("languages", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[("en", "English"), ("de", "German"), ("zh", "Chinese")], max_length=2), default=rag.models.all_languages, help_text="In which its documents are written.", size=None, verbose_name="languages")),
                ("engine", models.CharField(choices=[("pgvector", "PostgreSQL")], default="pgvector", max_length=16, verbose_name="engine")),
                ("embedding_model", models.CharField(blank=True, help_text="Empty: found by words only.", max_length=120, verbose_name="embedding model")),
                ("dimensions", models.PositiveSmallIntegerField(blank=True, choices=[(384, "384"), (768, "768"), (1024, "1024"), (1536, "1536")], null=True, verbose_name="dimensions")),
                ("chunk_characters", models.PositiveSmallIntegerField(default=900, help_text="At most, from 200 to 4,000; in Chinese half as many.", validators=[django.core.validators.MinValueValidator(200), django.core.validators.MaxValueValidator(4000)], verbose_name="characters of a passage")),
                ("data_policy", models.CharField(blank=True, choices=[("", "anywhere"), ("eu", "European Union only"), ("local", "this installation's own network only"), ("+unstored", "anywhere where nothing is stored"), ("eu+unstored", "European Union only, where nothing is stored"), ("local+unstored", "this installation's own network only, where nothing is stored")], default="", max_length=16, verbose_name="where data may go")),
            ],
            options={"verbose_name": "collection", "verbose_name_plural": "collections", "ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                ("id", models.UUIDField(default=foundation.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("title", models.CharField(blank=True, max_length=300, verbose_name="title")),
                ("source", models.CharField(choices=[("upload", "file"), ("url", "web page"), ("text", "text"), ("mail", "e-mail")], default="upload", max_length=6, verbose_name="source")),
                ("address", models.CharField(blank=True, max_length=2000, verbose_name="file name or address")),
                ("content_hash", models.CharField(editable=False, max_length=64)),
                ("version", models.PositiveIntegerField(default=1, verbose_name="version")),
                ("state", models.CharField(choices=[("waiting", "waiting"), ("ready", "ready"), ("failed", "failed")], default="waiting", max_length=7, verbose_name="state")),
                ("reason", models.CharField(blank=True, max_length=500, verbose_name="reason")),
                ("metadata", models.JSONField(blank=True, default=dict, verbose_name="properties")),
                ("collection", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="documents", to="rag.collection", verbose_name="collection")),
            ],
            options={"verbose_name": "document", "verbose_name_plural": "documents", "ordering": ["title", "pk"]},
        ),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("kind", models.CharField(choices=[("heading", "heading"), ("paragraph", "paragraph"), ("table", "table")], default="paragraph", max_length=9)),
                ("text", models.TextField()),
                ("page", models.PositiveIntegerField(null=True)),
                ("headings", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ("char_from", models.PositiveIntegerField()),
                ("char_to", models.PositiveIntegerField()),
                ("box", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), null=True, size=None)),
                ("document", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="blocks", to="rag.document", verbose_name="document")),
            ],
            options={"verbose_name": "part of a document", "verbose_name_plural": "parts of documents", "ordering": ["document", "position"]},
        ),
        migrations.CreateModel(
            name="Generation",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("analyzer_version", models.PositiveSmallIntegerField()),
                ("chunk_characters", models.PositiveSmallIntegerField()),
                ("embedding_model", models.CharField(blank=True, max_length=120)),
                ("dimensions", models.PositiveSmallIntegerField(null=True)),
                ("lexicon", models.JSONField(default=dict)),
                ("lexicon_chunks", models.PositiveIntegerField(default=0)),
                ("chunk_count", models.PositiveIntegerField(default=0)),
                ("term_count", models.BigIntegerField(default=0)),
                ("vector_count", models.PositiveIntegerField(default=0)),
                ("weights", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("collection", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="generations", to="rag.collection", verbose_name="collection")),
            ],
            options={"verbose_name": "index", "verbose_name_plural": "indexes", "ordering": ["pk"]},
        ),
        migrations.AddField(
            model_name="collection",
            name="active_generation",
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="rag.generation"),
        ),
        migrations.CreateModel(
            name="Chunk",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveIntegerField()),
                ("page_from", models.PositiveIntegerField(null=True)),
                ("page_to", models.PositiveIntegerField(null=True)),
                ("char_from", models.PositiveIntegerField()),
                ("char_to", models.PositiveIntegerField()),
                ("headings", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ("text", models.TextField()),
                ("language", models.CharField(blank=True, max_length=2)),
                ("document", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="chunks", to="rag.document")),
                ("generation", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="chunks", to="rag.generation")),
            ],
            options={"verbose_name": "passage", "verbose_name_plural": "passages", "ordering": ["document", "position"]},
        ),
        migrations.CreateModel(
            name="TermCount",
            fields=[
                ("pk", models.CompositePrimaryKey("generation_id", "term", blank=True, editable=False, primary_key=True, serialize=False)),
                ("term", models.BigIntegerField()),
                ("generation_id", models.IntegerField()),
                ("chunk_count", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Posting",
            fields=[
                ("pk", models.CompositePrimaryKey("generation_id", "term", "chunk_id", blank=True, editable=False, primary_key=True, serialize=False)),
                ("term", models.BigIntegerField()),
                ("chunk_id", models.BigIntegerField()),
                ("generation_id", models.IntegerField()),
                ("frequency", models.SmallIntegerField()),
                ("length", models.SmallIntegerField()),
            ],
            options={"indexes": [models.Index(fields=["chunk_id"], name="rag_posting_chunk")]},
        ),
        migrations.RunSQL(
            "ALTER TABLE rag_posting DROP CONSTRAINT rag_posting_pkey,"
            " ADD PRIMARY KEY (generation_id, term, chunk_id) INCLUDE (frequency, length)",
            migrations.RunSQL.noop,
        ),
        migrations.CreateModel(
            name="Vector384",
            fields=[
                ("chunk_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("generation_id", models.IntegerField()),
                ("is_indexed", models.BooleanField(default=False)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=384)),
            ],
            options={
                "abstract": False,
                "indexes": [
                    models.Index(fields=["generation_id", "is_indexed"], name="rag_vector384_rows"),
                    pgvector.django.indexes.HnswIndex(
                        condition=models.Q(("is_indexed", True)),
                        ef_construction=64,
                        fields=["embedding"],
                        m=16,
                        name="rag_vector384_graph",
                        opclasses=["halfvec_ip_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Vector768",
            fields=[
                ("chunk_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("generation_id", models.IntegerField()),
                ("is_indexed", models.BooleanField(default=False)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=768)),
            ],
            options={
                "abstract": False,
                "indexes": [
                    models.Index(fields=["generation_id", "is_indexed"], name="rag_vector768_rows"),
                    pgvector.django.indexes.HnswIndex(
                        condition=models.Q(("is_indexed", True)),
                        ef_construction=64,
                        fields=["embedding"],
                        m=16,
                        name="rag_vector768_graph",
                        opclasses=["halfvec_ip_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Vector1024",
            fields=[
                ("chunk_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("generation_id", models.IntegerField()),
                ("is_indexed", models.BooleanField(default=False)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=1024)),
            ],
            options={
                "abstract": False,
                "indexes": [
                    models.Index(fields=["generation_id", "is_indexed"], name="rag_vector1024_rows"),
                    pgvector.django.indexes.HnswIndex(
                        condition=models.Q(("is_indexed", True)),
                        ef_construction=64,
                        fields=["embedding"],
                        m=16,
                        name="rag_vector1024_graph",
                        opclasses=["halfvec_ip_ops"],
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Vector1536",
            fields=[
                ("chunk_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("generation_id", models.IntegerField()),
                ("is_indexed", models.BooleanField(default=False)),
                ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=1536)),
            ],
            options={
                "abstract": False,
                "indexes": [
                    models.Index(fields=["generation_id", "is_indexed"], name="rag_vector1536_rows"),
                    pgvector.django.indexes.HnswIndex(
                        condition=models.Q(("is_indexed", True)),
                        ef_construction=64,
                        fields=["embedding"],
                        m=16,
                        name="rag_vector1536_graph",
                        opclasses=["halfvec_ip_ops"],
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="collection",
            constraint=models.CheckConstraint(condition=models.Q(models.Q(("dimensions", None), ("embedding_model", "")), models.Q(models.Q(("embedding_model", ""), _negated=True), ("dimensions__in", (384, 768, 1024, 1536))), _connector="OR"), name="rag_collection_model_with_dimensions"),
        ),
        migrations.AddConstraint(
            model_name="collection",
            constraint=models.CheckConstraint(condition=models.Q(("chunk_characters__gte", 200), ("chunk_characters__lte", 4000)), name="rag_collection_chunk_range"),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(fields=("collection", "content_hash"), name="rag_document_once"),
        ),
        migrations.AddConstraint(
            model_name="block",
            constraint=models.UniqueConstraint(fields=("document", "position"), name="rag_block_position"),
        ),
        migrations.AddConstraint(
            model_name="chunk",
            constraint=models.UniqueConstraint(fields=("generation", "document", "position"), name="rag_chunk_position"),
        ),
    ]
