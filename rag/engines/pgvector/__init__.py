"""The engine inside the tenant's own PostgreSQL: BM25 over postings, `halfvec` beside it, both fused."""

from rag.engines.pgvector.engine import PgvectorEngine

__all__ = ["PgvectorEngine"]
