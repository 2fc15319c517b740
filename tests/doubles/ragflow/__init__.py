"""RAGFlow's HTTP API (version 0.22.1) as its reference, its source and its SDK's tests show it: datasets,
documents, chunks and retrieval, for accounts with a key each, kept in memory.

Kept as they are, because callers fall over them: well is HTTP 200 with code 0 and `data` not false; no ids
are all ids; uploads and deletions of documents ask nobody whose they are; a filter by properties that fits
nothing finds everything; places of files without pages look like boxes. A file's name says how reading it
goes: `fail-`, `stuck-`, `slow-`, `empty-`; each look at it is a step.
"""

from tests.doubles.ragflow.server import RagflowServer, running_ragflow

__all__ = ["RagflowServer", "running_ragflow"]
