"""What is asked of RAGFlow, typed. Every answer is a stranger's word: ids are held to their form, numbers to
their range, texts to a length; who may read what comes back is decided by the caller.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ragflow_sdk import Chunk, DataSet, Document

from foundation.texts import as_kept
from rag.engines.ragflow.errors import DATA, MISSING, RagflowError, clear_errors, say
from rag.engines.ragflow.remote import (
    CANCEL,
    DONE,
    FAIL,
    RUNNING,
    UNSTART,
    RemoteChunk,
    RemoteDocument,
    RemoteHit,
)
from rag.engines.ragflow.wire import ID, Wire

PAGE = 100  # chunks that are fetched at once
MOST_CHUNKS = 50_000  # of a document
MOST_TEXT = 100_000  # characters of a chunk
CANDIDATES = 1_024  # that RAGFlow compares by their vectors, as it does by itself


class Ragflow:
    """The verbs of this house. Each raises RagflowError."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def check(self) -> None:
        """Whether the server answers this key."""
        with clear_errors():
            self._wire.list_datasets(page_size=1)

    def find_dataset(self, name: str) -> str:
        """Its id; empty where there is none of this name."""
        with clear_errors():
            try:
                rows = self._wire.list_datasets(name=name)
            except RagflowError as exc:
                if exc.code in (MISSING, DATA):
                    return ""
                raise
            return next((_read_id(row.id) for row in rows if row.name == name), "")

    def create_dataset(self, name: str, embedding_model: str) -> str:
        with clear_errors():
            return _read_id(self._wire.create_dataset(name, embedding_model=embedding_model or None).id)

    def find_document(self, dataset: str, *, name: str = "", id: str = "") -> RemoteDocument | None:
        with clear_errors():
            try:
                rows = self._dataset(dataset).list_documents(name=name or None, id=id or None)
            except RagflowError as exc:
                if exc.code in (MISSING, DATA):
                    return None
                raise
            fitting = (row for row in rows if (row.name == name if name else row.id == id))
            return next((_read_document(row) for row in fitting), None)

    def upload(self, dataset: str, name: str, content: bytes) -> str:
        with clear_errors():
            rows = self._dataset(dataset).upload_documents([{"display_name": name, "blob": content}])
            (row,) = rows
            return _read_id(row.id)

    def start(self, dataset: str, document: str) -> None:
        with clear_errors():
            self._dataset(dataset).async_parse_documents([document])

    def stop(self, dataset: str, document: str) -> None:
        with clear_errors():
            self._dataset(dataset).async_cancel_parse_documents([document])

    def list_chunks(self, dataset: str, document: str) -> Iterator[RemoteChunk]:
        remote = Document(self._wire, {"id": document, "dataset_id": dataset})
        for page in range(1, MOST_CHUNKS // PAGE + 1):
            with clear_errors():
                rows = [_read_chunk(row) for row in remote.list_chunks(page=page, page_size=PAGE)]
            yield from rows
            if len(rows) < PAGE:
                return

    def retrieve(
        self,
        question: str,
        datasets: Sequence[str],
        documents: Sequence[str] | None,
        count: int,
        weight: float,
    ) -> list[RemoteHit]:
        """The best chunks; `weight` is what vectors count, from 0 to 1. `documents`: None is all of these
        datasets. Nothing to look in is no call: to RAGFlow, an empty list is everything.
        """
        if not datasets or (documents is not None and not documents):
            return []
        body: dict[str, Any] = {
            "question": question,
            "dataset_ids": list(datasets),
            "page": 1,
            "page_size": count,
            "similarity_threshold": 0.2 if 0 < weight < 1 else 0.01,
            "vector_similarity_weight": weight,
            "top_k": CANDIDATES,
        }
        if documents is not None:
            body["document_ids"] = list(documents)
        # the SDK's own call sends an empty list of documents where none is named
        with clear_errors():
            data = self._wire.post("/retrieval", json=body).json()["data"]
            return [_read_hit(Chunk(self._wire, dict(row))) for row in data["chunks"][:count]]

    def delete_document(self, dataset: str, document: str) -> None:
        """Again, or of one that is gone, changes nothing."""
        with clear_errors():
            for step in (
                lambda: self._dataset(dataset).async_cancel_parse_documents([document]),
                lambda: self._dataset(dataset).delete_documents([document]),
            ):
                _unless_gone(step)

    def delete_dataset(self, dataset: str) -> None:
        with clear_errors():
            _unless_gone(lambda: self._wire.delete_datasets([dataset]))

    def _dataset(self, dataset: str) -> DataSet:
        return DataSet(self._wire, {"id": dataset})


def _unless_gone(step: Any) -> None:
    try:
        step()
    except RagflowError as exc:
        if exc.code not in (MISSING, DATA):
            raise


def _read_id(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(ID, value):
        raise ValueError("no id")
    return value


def _read_share(value: Any) -> float:
    number = float(value)
    return min(max(number, 0.0), 1.0) if math.isfinite(number) else 0.0


def _read_document(row: Document) -> RemoteDocument:
    run = str(row.run).upper()
    return RemoteDocument(
        id=_read_id(row.id),
        run=run if run in (RUNNING, CANCEL, DONE, FAIL) else UNSTART,
        share=_read_share(row.progress or 0),
        message=read_reason(row.progress_msg),
        chunk_count=max(0, int(row.chunk_count or 0)),
    )


def read_reason(log: Any) -> str:
    """The line of its log that says what went wrong, else the last one."""
    lines = [line for line in str(log or "").splitlines() if line.strip()]
    wrong = [line for line in lines if "ERROR" in line.upper()]
    return say((wrong or lines or [""])[-1])


def _read_chunk(row: Chunk) -> RemoteChunk:
    text = as_kept(str(row.content))[:MOST_TEXT].strip()
    return RemoteChunk(_read_id(row.id), text, _read_pages(row.positions))


def _read_pages(positions: Any) -> tuple[int, int] | None:
    """Of [[page, left, right, top, bottom], …]."""
    pages = [
        int(place[0])
        for place in (positions if isinstance(positions, list) else [])
        if isinstance(place, list) and place and isinstance(place[0], int | float) and 1 <= place[0] < 100_000
    ]
    return (min(pages), max(pages)) if pages else None


def _read_hit(row: Chunk) -> RemoteHit:
    return RemoteHit(
        id=_read_id(row.id),
        document_id=_read_id(row.document_id),
        dataset_id=_read_id(row.dataset_id),
        score=_read_share(row.similarity),
        word_score=_read_share(row.term_similarity),
        similarity=_read_share(row.vector_similarity),
    )
