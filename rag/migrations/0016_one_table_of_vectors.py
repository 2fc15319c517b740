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
RENAME_BACK = """
ALTER INDEX rag_vector_rows RENAME TO rag_vector384_rows;
ALTER TABLE rag_vector RENAME CONSTRAINT rag_vector_pkey TO rag_vector384_pkey;
ALTER TABLE rag_vector ALTER COLUMN embedding384 SET NOT NULL;
ALTER TABLE rag_vector RENAME COLUMN embedding384 TO embedding;
ALTER TABLE rag_vector RENAME TO rag_vector384
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
MOVE_BACK = """
DROP INDEX rag_vector768_graph, rag_vector1024_graph, rag_vector1536_graph;
CREATE TABLE rag_vector768 (chunk_id bigint CONSTRAINT rag_vector768_pkey PRIMARY KEY, generation_id integer NOT NULL,
 is_indexed boolean NOT NULL, embedding halfvec(768) NOT NULL);
CREATE INDEX rag_vector768_rows ON rag_vector768 (generation_id, is_indexed);
CREATE INDEX rag_vector768_graph ON rag_vector768 USING hnsw (embedding halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed;
INSERT INTO rag_vector768 (chunk_id, generation_id, is_indexed, embedding)
 SELECT chunk_id, generation_id, is_indexed, embedding768 FROM rag_vector WHERE embedding768 IS NOT NULL;
CREATE TABLE rag_vector1024 (chunk_id bigint CONSTRAINT rag_vector1024_pkey PRIMARY KEY, generation_id integer NOT NULL,
 is_indexed boolean NOT NULL, embedding halfvec(1024) NOT NULL);
CREATE INDEX rag_vector1024_rows ON rag_vector1024 (generation_id, is_indexed);
CREATE INDEX rag_vector1024_graph ON rag_vector1024 USING hnsw (embedding halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed;
INSERT INTO rag_vector1024 (chunk_id, generation_id, is_indexed, embedding)
 SELECT chunk_id, generation_id, is_indexed, embedding1024 FROM rag_vector WHERE embedding1024 IS NOT NULL;
CREATE TABLE rag_vector1536 (chunk_id bigint CONSTRAINT rag_vector1536_pkey PRIMARY KEY, generation_id integer NOT NULL,
 is_indexed boolean NOT NULL, embedding halfvec(1536) NOT NULL);
CREATE INDEX rag_vector1536_rows ON rag_vector1536 (generation_id, is_indexed);
CREATE INDEX rag_vector1536_graph ON rag_vector1536 USING hnsw (embedding halfvec_ip_ops)
 WITH (m=16, ef_construction=64) WHERE is_indexed;
INSERT INTO rag_vector1536 (chunk_id, generation_id, is_indexed, embedding)
 SELECT chunk_id, generation_id, is_indexed, embedding1536 FROM rag_vector WHERE embedding1536 IS NOT NULL;
DELETE FROM rag_vector WHERE embedding384 IS NULL;
ALTER TABLE rag_vector DROP COLUMN embedding768, DROP COLUMN embedding1024, DROP COLUMN embedding1536
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
            database_operations=[migrations.RunSQL(RENAME, RENAME_BACK), migrations.RunSQL(MOVE, MOVE_BACK)],
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
