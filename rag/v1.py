"""This room's routes of `/v1`."""

from rag.stores import batches, files, search, stores  # noqa: F401  (they register their routes)
