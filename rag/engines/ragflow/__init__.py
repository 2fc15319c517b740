"""RAGFlow, a server of its own, as an engine of collections (decision 33): it gets the files, reads, cuts and
searches them. What it made of them is copied here, so that citations open our own pages and words are found
while it is away.
"""

from rag.engines.ragflow.engine import RagflowEngine

__all__ = ["RagflowEngine"]
