"""The tenant administration's collections and documents. People's own, and files of conversations, stay out
of it.
"""

from rag.admin import collections, documents, ragflow  # noqa: F401  (they register themselves)
