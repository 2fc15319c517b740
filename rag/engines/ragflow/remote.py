"""What comes from RAGFlow, as this house holds it."""

from dataclasses import dataclass

UNSTART, RUNNING, CANCEL, DONE, FAIL = "UNSTART", "RUNNING", "CANCEL", "DONE", "FAIL"


@dataclass(frozen=True, slots=True)
class RemoteDocument:
    """`share` of it is read, from 0 to 1."""

    id: str
    run: str
    share: float
    message: str
    chunk_count: int


@dataclass(frozen=True, slots=True)
class RemoteChunk:
    """`page`: the first and the last one that it stands on, from 1; None: nobody knows."""

    id: str
    text: str
    pages: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class RemoteHit:
    id: str
    document_id: str
    dataset_id: str
    score: float
    word_score: float
    similarity: float
