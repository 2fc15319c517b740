"""Collections and documents as the tests of this room make them."""

import hashlib
from collections.abc import Callable

import pytest

from rag.models import Collection, Document
from rag.parsed import ParsedBlock
from rag.services import add_document, create_collection, index_documents

MODEL = "tests-embedder"


def axis(*numbers: float) -> list[float]:
    """A vector of 384 dimensions that begins with these numbers."""
    return [*numbers, *[0.0] * (384 - len(numbers))]


def paragraph(text: str, **columns) -> ParsedBlock:
    return ParsedBlock(text, char_to=len(text), **columns)


@pytest.fixture
def make_collection(db) -> Callable[..., Collection]:
    def make(name: str = "Handbook", **columns) -> Collection:
        return create_collection(actor=None, name=name, **columns)

    return make


@pytest.fixture
def add(db) -> Callable[..., Document]:
    """add(collection, title, text or blocks): a document that is searched from now on."""

    def add_one(collection: Collection, title: str, *texts: str | ParsedBlock, **columns) -> Document:
        blocks = [paragraph(text) if isinstance(text, str) else text for text in texts]
        content = hashlib.sha256(repr((title, texts)).encode()).hexdigest()
        document, _is_new = add_document(
            actor=None, collection=collection, title=title, content_hash=content, **columns
        )
        index_documents(collection=collection, parsed={document: blocks})
        return document

    return add_one
