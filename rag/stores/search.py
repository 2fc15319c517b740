"""A search in a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Q

from accounts.models import User
from foundation.told import gettext as _
from gateway.files.views import counted
from gateway.operations.body import check, check_range
from gateway.request import Request
from gateway.routes import route
from rag.engines import Hit
from rag.models import Document
from rag.searching import SOURCE, Found, search
from rag.selectors import list_visible_documents
from rag.stores.access import get_store, step
from rag.stores.bodies import read_body, refuse_unknown, wrong
from rag.stores.filters import list_filtered, read_filters
from rag.stores.shapes import show_hit

KNOWN = ("query", "filters", "max_num_results", "ranking_options", "rewrite_query")
MOST_RESULTS, RESULTS, MOST_QUERIES = 50, 10, 5
RANKERS = ("none", "auto", "default-2024-11-15", "default_2024_08_21")
DEEPEST = 5  # mails in mails


@dataclass(frozen=True, slots=True)
class Wanted:
    queries: list[str]
    count: int
    filters: Q | None
    least_score: float


@route("POST", "vector_stores/{vector_store_id}/search")
async def search_store(request: Request, vector_store_id: str) -> None:
    async with counted(request) as headers:
        wanted = _read_wanted(await read_body(request, KNOWN))
        pk, document_ids = await step(request, _choose, vector_store_id, wanted.filters)
        found = [
            await search(
                request.principal,
                query,
                collections=[pk],
                count=wanted.count,
                document_ids=document_ids,
                source=SOURCE,
                gateway=request.gateway,
            )
            for query in wanted.queries
            if document_ids != []
        ]
        data = await step(request, _show, _merge(found, wanted))
        shown = {
            "object": "vector_store.search_results.page",
            "search_query": wanted.queries,
            "data": data,
            "has_more": False,
            "next_page": None,
        }
        await request.answer(orjson.dumps(shown), [*headers, *_headers_of(found)])


def _read_wanted(body: dict[str, Any]) -> Wanted:
    """Raises InvalidInput."""
    count = body.setdefault("max_num_results", RESULTS)
    check(body, "max_num_results", int)
    check_range(body, "max_num_results", 1, MOST_RESULTS)
    check(body, "rewrite_query", bool)
    if body.get("rewrite_query"):
        raise wrong(
            "rewrite_query", _("is not served: what you ask is searched as it is"), "unsupported_value"
        )
    filters = read_filters(body["filters"]) if "filters" in body else None
    return Wanted(_read_queries(body), int(count), filters, _read_least_score(body))


def _read_queries(body: dict[str, Any]) -> list[str]:
    given = body.get("query")
    if given is None:
        raise wrong("query", _("is missing"), "missing_required_parameter")
    queries = given if isinstance(given, list) else [given]
    if not queries or not all(isinstance(one, str) and one.strip() for one in queries):
        raise wrong("query", _("must be a text, or an array of texts, none of them empty"))
    if len(queries) > MOST_QUERIES:
        raise wrong("query", _("may have at most %(limit)d texts") % {"limit": MOST_QUERIES})
    return [one.replace("\0", "") for one in queries]


def _read_least_score(body: dict[str, Any]) -> float:
    """Of `ranking_options`. What is found by words and by meaning is ranked in one way always."""
    check(body, "ranking_options", dict)
    given = body.get("ranking_options") or {}
    refuse_unknown(given, ("ranker", "score_threshold"), "ranking_options.")
    if given.get("ranker") not in (None, *RANKERS):
        raise wrong("ranking_options.ranker", _("must be one of: %(names)s") % {"names": ", ".join(RANKERS)})
    least = given.get("score_threshold")
    if least is None:
        return 0.0
    if type(least) not in (int, float) or not 0 <= least <= 1:
        bounds = {"low": 0, "high": 1}
        raise wrong("ranking_options.score_threshold", _("must lie between %(low)s and %(high)s") % bounds)
    return float(least)


def _choose(user: User, project_id: UUID, text: str, filters: Q | None) -> tuple[UUID, list[UUID] | None]:
    """The store, and the documents that the filters leave; None: all."""
    store = get_store(user, project_id, text)
    return store.pk, None if filters is None else list_filtered(store, filters)


def _merge(found: Sequence[Found], wanted: Wanted) -> list[Hit]:
    """Each passage once, with the best of its scores."""
    best: dict[int, Hit] = {}
    for one in found:
        for hit in one.hits:
            if hit.chunk_id not in best or best[hit.chunk_id].score < hit.score:
                best[hit.chunk_id] = hit
    ranked = sorted(best.values(), key=lambda hit: -hit.score)
    return [hit for hit in ranked if hit.score >= wanted.least_score][: wanted.count]


def _show(user: User, project_id: UUID, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Of what may be read at this moment."""
    rows = list_visible_documents(user, project_id).select_related("file")
    known = {row.pk: row for row in rows.filter(pk__in={hit.document_id for hit in hits})}
    missing: set[Any] = {row.parent_id for row in known.values()} - known.keys() - {None}
    for _level in range(DEEPEST):
        known |= (found := {row.pk: row for row in rows.filter(pk__in=missing)} if missing else {})
        missing = {row.parent_id for row in found.values()} - known.keys() - {None}
    return [
        show_hit(hit, _root_of(known[hit.document_id], known), _name_of(known[hit.document_id]))
        for hit in hits
        if hit.document_id in known
    ]


def _root_of(row: Document, known: dict[UUID, Document]) -> Document:
    while row.parent_id is not None and row.parent_id in known:
        row = known[row.parent_id]
    return row


def _name_of(row: Document) -> str:
    return row.file.name if row.file is not None else row.title or row.address


def _headers_of(found: Sequence[Found]) -> list[tuple[bytes, bytes]]:
    """What the exact shape of the answer has no place for: how it was searched, and what that cost."""
    if not found:
        return []
    headers = [(b"x-atrium-searched-by", found[0].trace.leg.encode())]
    cost = sum((one.trace.cost for one in found), Decimal(0))
    currency = next((one.trace.currency for one in found if one.trace.currency), "")
    return (
        [*headers, (b"x-atrium-cost", f"{cost.normalize():f} {currency}".encode())] if currency else headers
    )
