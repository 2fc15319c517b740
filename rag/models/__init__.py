"""Collections, their documents, and the index of the pgvector engine."""

from rag.models.collections import (
    DIMENSIONS,
    MOST_VISION_PAGES,
    Collection,
    Language,
    all_languages,
)
from rag.models.documents import (
    PURPOSE,
    Block,
    Document,
    PageReading,
)
from rag.models.graph import (
    Entity,
    Mention,
)
from rag.models.index import (
    Chunk,
    ChunkManager,
    Generation,
    Posting,
    TermCount,
    Vector,
)
from rag.models.questions import (
    SavedQuestion,
)
from rag.models.ragflow import (
    RagflowAccount,
    RagflowDocument,
)

__all__ = [
    "DIMENSIONS",
    "MOST_VISION_PAGES",
    "PURPOSE",
    "Block",
    "Chunk",
    "ChunkManager",
    "Collection",
    "Document",
    "Entity",
    "Generation",
    "Language",
    "Mention",
    "PageReading",
    "Posting",
    "RagflowAccount",
    "RagflowDocument",
    "SavedQuestion",
    "TermCount",
    "Vector",
    "all_languages",
]
