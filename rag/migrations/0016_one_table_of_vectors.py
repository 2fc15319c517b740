import pgvector.django.halfvec
import pgvector.django.indexes
from django.db import migrations, models

# What most tenants have becomes the table of all, without a row being written: only names change. Rows with
# other dimensions move; their indexes are made before, as those of the others were.
RENAME = """
ALTER TABLE rag_vector384 RENAME TO rag_vector;
ALTER TABLE rag_vector RENAME COLUMN embedding TO embedding384;
ALTER TABLE rag_vector ALTER COLUMN embedding384 DROP NOT NULL;
ALTER TABLE rag_vector RENAME CONSTRAINT rag_vector384_pkey TO rag_vector_pkey;
ALTER INDEX rag_vector384_rows RENAME TO rag_vector_rows
"""
MOVE = """
ALTER INDEX rag_vector768_graph RENAME TO rag_vector768_graph_before;
ALTER INDEX rag_vector1024_graph RENAME TO rag_vector1024_graph_before;
ALTER INDEX rag_vector1536_graph RENAME TO rag_vector1536_graph_before;
ALTER TABLE rag_vector ADD COLUMN embedding768 halfvec(768), ADD COLUMN embedding1024 halfvec(1024),
 ADD COLUMN embedding1536 halfvec(1536);
INSERT INTO rag_vector (chunk_id, generation_id, is_indexed, embedding768)
 SELECT chunk_id, generation_id, is_indexed, embedding FROM rag_vector768;
INSERT INTO rag_vector (chunk_id, generation_id, is_indexed, embedding1024)
 SELECT chunk_id, generation_id, is_indexed, embedding FROM rag_vector1024;
INSERT INTO rag_vector (chunk_id, generation_id, is_indexed, embedding1536)
 SELECT chunk_id, generation_id, is_indexed, embedding FROM rag_vector1536;
DROP TABLE rag_vector768, rag_vector1024, rag_vector1536;
CREATE INDEX rag_vector768_graph ON rag_vector USING hnsw (embedding768 halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed;
CREATE INDEX rag_vector1024_graph ON rag_vector USING hnsw (embedding1024 halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed;
CREATE INDEX rag_vector1536_graph ON rag_vector USING hnsw (embedding1536 halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed
"""


def graph(dimensions: int) -> pgvector.django.indexes.HnswIndex:
    return pgvector.django.indexes.HnswIndex(
        condition=models.Q(("is_indexed", True)),
        ef_construction=64,
        fields=[f"embedding{dimensions}"],
        m=16,
        name=f"rag_vector{dimensions}_graph",
        opclasses=["halfvec_ip_ops"],
    )


class Migration(migrations.Migration):
    """Vectors of every dimension in one table, with a column and an index for each: three tables fewer in
    each tenant's schema.
    """

    dependencies = [("rag", "0015_twins_of_documents")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(RENAME), migrations.RunSQL(MOVE)],
            state_operations=[
                migrations.RemoveIndex("vector384", "rag_vector384_rows"),
                migrations.RemoveIndex("vector384", "rag_vector384_graph"),
                migrations.RenameModel("Vector384", "Vector"),
                migrations.RenameField("vector", "embedding", "embedding384"),
                migrations.AlterField(
                    "vector",
                    "embedding384",
                    pgvector.django.halfvec.HalfVectorField(dimensions=384, null=True),
                ),
                *(
                    migrations.AddField(
                        "vector",
                        f"embedding{dimensions}",
                        pgvector.django.halfvec.HalfVectorField(dimensions=dimensions, null=True),
                    )
                    for dimensions in (768, 1024, 1536)
                ),
                migrations.DeleteModel("Vector768"),
                migrations.DeleteModel("Vector1024"),
                migrations.DeleteModel("Vector1536"),
                migrations.AddIndex(
                    "vector", models.Index(fields=["generation_id", "is_indexed"], name="rag_vector_rows")
                ),
                *(migrations.AddIndex("vector", graph(dimensions)) for dimensions in (384, 768, 1024, 1536)),
            ],
        ),
    ]
