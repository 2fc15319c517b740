"""Searching with a question as people ask it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import User
from rag.engines import Hit, Question
from rag.engines.table import engine_of
from rag.models import Collection
from rag.selectors import list_visible_collections


@dataclass(frozen=True, slots=True)
class Gap:
    why: str
    model: str
    collections: tuple[UUID, ...]


@dataclass(slots=True)
class Trace:
    gaps: tuple[Gap, ...] = ()
    embedding_ms: int = 0
    search_ms: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    hits: list[Hit]
    trace: Trace


def search_now(
    user: User,
    question: str,
    *,
    collections: Iterable[Collection],
    project_id: UUID | None = None,
    **more: Any,
) -> Found:
    begun_s = time.monotonic()
    rows = list_visible_collections(user, project_id).filter(pk__in=[one.pk for one in collections])
    hits = [
        hit
        for row in rows[:1]
        for hit in engine_of(row).search(Question(question, collections=rows, **more | {"leg": "words"}))
    ]
    gaps = () if more["leg"] == "words" else (Gap("no_model", "", ()),)
    return Found(hits, Trace(gaps, 0, round((time.monotonic() - begun_s) * 1000)))
