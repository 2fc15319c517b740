"""Searching as somebody: what they may read is decided in the query itself, the question is embedded with the
models of the indexes that answer, and what could not be done is said.

A model that is away, slow or refused, and an index without vectors, cost meaning, not the search: words alone
find what they can, and the trace says why.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User
from foundation.errors import AtriumError
from gateway.calls import Call, Principal
from gateway.errors import AccessEnded
from gateway.loop import GatewayLoop, get_loop, start_on_loop, wait_on_loop
from gateway.vectors import Payer, act_as, embed, rerank
from rag.engines import AWAY, Hit, Leg, Question
from rag.engines.table import engine_named
from rag.models import Collection
from rag.selectors import list_visible_collections
from tenants.context import current_tenant, in_tenant
from tenants.data_policy import strictest

T = TypeVar("T")
SOURCE = "knowledge"  # as the bill says it
EMBED_WITHIN_S = 4.0  # later than that, words alone answer
MAX_QUESTION = 2_000  # characters that are looked at
RERANKED = 30  # of the best passages, so many are ranked anew
# why a leg is missing, beside the codes of errors
NO_MODEL, NO_VECTORS, PARTLY, TOO_SLOW = "no_model", "no_vectors", "partly", "too_slow"
ENGINE_AWAY = AWAY


@dataclass(frozen=True, slots=True)
class Gap:
    """What was not searched by meaning, and why: NO_MODEL, NO_VECTORS, PARTLY (only some passages have
    vectors), TOO_SLOW, AWAY (its engine does not answer) or the code of an error. `collections`: their ids.
    """

    why: str
    model: str
    collections: tuple[UUID, ...]


@dataclass(slots=True)
class Trace:
    """How a search went. Times are in milliseconds."""

    question: str
    collections: tuple[UUID, ...] = ()  # that were searched
    closed: tuple[UUID, ...] = ()  # that were asked for, and are not, or no longer, the asker's to read
    policy: str = ""  # where what was found may go (tenants.data_policy)
    leg: Leg = "words"
    gaps: tuple[Gap, ...] = ()
    reranker: str = ""
    reranker_error: str = ""
    embedding_ms: int = 0
    search_ms: int = 0
    reranking_ms: int = 0
    cost: Decimal = Decimal(0)  # of embedding and ranking
    currency: str = ""

    def miss(self, why: str, collections: Sequence[UUID]) -> None:
        self.gaps = (*self.gaps, Gap(why, "", tuple(collections)))

    def note(self, call: Call) -> None:
        """Add what a model's call cost."""
        if call.is_settled:
            self.cost += call.cost
            self.currency = call.route.price.currency or self.currency


@dataclass(frozen=True, slots=True)
class Found:
    """The best passages, the best first, and how they were found."""

    hits: list[Hit]
    trace: Trace


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted. `collections`: none that the asker may not read is searched, nor told apart from one
    that does not exist.
    """

    question: str
    collections: tuple[UUID, ...]
    count: int = 8
    metadata: Mapping[str, object] = field(default_factory=dict)
    document_ids: tuple[UUID, ...] | None = None  # None: all; empty: none
    leg: Leg = "both"
    reranker: str = ""  # a model of the kind “rerank”; empty: none
    follows_names: bool = True  # where the collection wants it

    @property
    def asked_count(self) -> int:
        return max(self.count, RERANKED) if self.reranker else self.count


@dataclass(slots=True)
class _Plan:
    """What must be embedded with which model, under which policy."""

    trace: Trace
    policies: dict[str, str] = field(default_factory=dict)  # model → where the question may go


async def search(
    principal: Principal,
    question: str,
    *,
    collections: Iterable[Collection | UUID],
    source: str = SOURCE,
    gateway: GatewayLoop | None = None,
    **more: Any,
) -> Found:
    """The passages that answer a question, of what the principal's person may read on its project. `more`:
    see Wish. Raises InvalidInput.
    """
    wish = _make_wish(question, collections, more)
    who = (principal.user_id, principal.project_id)
    plan = await in_tenant(principal.tenant, _plan_as, *who, wish)
    found_vectors = await _embed(principal, plan, source, gateway or get_loop())
    hits = await in_tenant(principal.tenant, _find_as, *who, wish, plan, found_vectors)
    hits = await _rank_anew(principal, wish, plan.trace, hits, source, gateway or get_loop())
    return Found(hits[: wish.count], plan.trace)


def search_now(
    user: User,
    question: str,
    *,
    collections: Iterable[Collection | UUID],
    project_id: UUID | None = None,
    source: str = SOURCE,
    **more: Any,
) -> Found:
    """The same from sync code, in the active tenant. `project_id`: None is the default one."""
    wish = _make_wish(question, collections, more)
    plan = _plan(list_visible_collections(user, project_id), wish)
    payer = Payer(current_tenant(), user.pk, project_id)
    found_vectors = {}
    if plan.policies:
        found_vectors = _carry_out(payer, lambda who, loop: _embed(who, plan, source, loop))
    hits = _find(list_visible_collections(user, project_id), wish, plan, found_vectors)
    if wish.reranker and hits:
        found = hits
        hits = _carry_out(payer, lambda who, loop: _rank_anew(who, wish, plan.trace, found, source, loop))
    return Found(hits[: wish.count], plan.trace)


def _make_wish(question: str, collections: Iterable[Collection | UUID], more: dict[str, Any]) -> Wish:
    ids = (one.pk if isinstance(one, Collection) else one for one in collections)
    if more.get("document_ids") is not None:
        more["document_ids"] = tuple(more["document_ids"])
    return Wish(question=question, collections=tuple(dict.fromkeys(ids)), **more)


def _carry_out(payer: Payer, work: Callable[[Principal, GatewayLoop], Awaitable[T]]) -> T:
    async def ask(gateway: GatewayLoop) -> T:
        return await work(await act_as(payer, gateway), gateway)

    return wait_on_loop(start_on_loop(ask))


def _plan_as(user_id: UUID, project_id: UUID, wish: Wish) -> _Plan:
    return _plan(_list_readable(user_id, project_id), wish)


def _find_as(user_id: UUID, project_id: UUID, *rest: Any) -> list[Hit]:
    return _find(_list_readable(user_id, project_id), *rest)


def _list_readable(user_id: UUID, project_id: UUID) -> QuerySet[Collection]:
    user = User.objects.filter(pk=user_id).first()
    return list_visible_collections(user, project_id) if user else Collection.objects.none()


def _plan(readable: QuerySet[Collection], wish: Wish) -> _Plan:
    rows = list(
        readable.filter(pk__in=wish.collections)
        .select_related("active_generation")
        .defer("active_generation__lexicon")
    )
    known = {row.pk for row in rows}
    trace = Trace(
        question=wish.question,
        collections=tuple(pk for pk in wish.collections if pk in known),
        closed=tuple(pk for pk in wish.collections if pk not in known),
        policy=strictest("", *(row.data_policy for row in rows)),
    )
    plan = _Plan(trace)
    if wish.leg == "words":
        return plan
    for row in rows:
        generation = row.active_generation
        if generation is not None and generation.embedding_model and generation.vector_count:
            model = generation.embedding_model
            plan.policies[model] = strictest(plan.policies.get(model, ""), row.data_policy)
    trace.gaps = tuple(gap for row in rows if (gap := _find_gap(row)))
    return plan


def _find_gap(row: Collection) -> Gap | None:
    generation = row.active_generation
    if generation is None or not generation.chunk_count:
        return None  # nothing to be found at all
    if generation.engine != Collection.Engine.PGVECTOR:
        return None  # it embeds by itself, and says what it could not do
    if not generation.embedding_model:
        return Gap(NO_MODEL, "", (row.pk,))
    if not generation.vector_count:
        return Gap(NO_VECTORS, generation.embedding_model, (row.pk,))
    if generation.vector_count < generation.chunk_count:
        return Gap(PARTLY, generation.embedding_model, (row.pk,))
    return None


async def _embed(
    principal: Principal, plan: _Plan, source: str, gateway: GatewayLoop
) -> dict[str, list[float]]:
    """The question's vector by each model that gave one in time; the others are gaps."""
    started_s = time.monotonic()
    models = list(plan.policies)
    answers = await asyncio.gather(
        *(
            _embed_with(
                replace(principal, data_policy=strictest(principal.data_policy, policy)),
                model,
                plan.trace,
                source,
                gateway,
            )
            for model, policy in plan.policies.items()
        )
    )
    plan.trace.embedding_ms = _since_ms(started_s)
    plan.trace.gaps += tuple(
        Gap(answer, model, ())
        for model, answer in zip(models, answers, strict=True)
        if isinstance(answer, str)
    )
    return {
        model: answer for model, answer in zip(models, answers, strict=True) if not isinstance(answer, str)
    }


async def _embed_with(
    principal: Principal, model: str, trace: Trace, source: str, gateway: GatewayLoop
) -> list[float] | str:
    """The vector, or why there is none."""
    try:
        async with asyncio.timeout(EMBED_WITHIN_S):
            (vector,) = await embed(
                principal,
                model,
                [trace.question[:MAX_QUESTION]],
                source=source,
                purpose="query",
                note=trace.note,
                gateway=gateway,
            )
    except AccessEnded:
        raise
    except AtriumError as exc:
        return exc.code
    except TimeoutError:
        return TOO_SLOW
    return vector


def _find(
    readable: QuerySet[Collection], wish: Wish, plan: _Plan, found_vectors: Mapping[str, Sequence[float]]
) -> list[Hit]:
    """Rights are asked again: embedding took a while."""
    started_s = time.monotonic()
    trace = plan.trace
    wanted = readable.filter(pk__in=wish.collections)
    leg: Leg = wish.leg if found_vectors else "words"
    hits: list[Hit] = []
    legs: set[Leg] = set()
    for name in sorted(set(wanted.order_by().values_list("active_generation__engine", flat=True)) - {None}):
        is_ours = name == Collection.Engine.PGVECTOR
        question = Question(
            text=wish.question,
            collections=wanted.filter(active_generation__engine=name),
            vectors=_fitting(wanted, found_vectors),
            count=wish.asked_count,
            metadata=wish.metadata,
            document_ids=wish.document_ids,
            leg=leg if is_ours else wish.leg,
            follows_names=wish.follows_names,
            note=trace.miss,
        )
        hits += engine_named(name).search(question)
        legs.add(question.leg)
    trace.leg = wish.leg if wish.leg in legs else leg
    trace.search_ms = _since_ms(started_s)
    return sorted(hits, key=lambda hit: -hit.score)[: wish.asked_count]


def _fitting(
    wanted: QuerySet[Collection], found_vectors: Mapping[str, Sequence[float]]
) -> dict[str, Sequence[float]]:
    """Those of the length that the indexes have: a model may have been exchanged behind its name."""
    lengths = set(
        wanted.order_by().values_list("active_generation__embedding_model", "active_generation__dimensions")
    )
    return {model: vector for model, vector in found_vectors.items() if (model, len(vector)) in lengths}


async def _rank_anew(
    principal: Principal, wish: Wish, trace: Trace, hits: list[Hit], source: str, gateway: GatewayLoop
) -> list[Hit]:
    """By the reranker, if one is wanted and answers in time; else as they are."""
    if not wish.reranker or not hits:
        return hits
    started_s = time.monotonic()
    trace.reranker = wish.reranker
    bound = replace(principal, data_policy=strictest(principal.data_policy, trace.policy))
    texts = [hit.text for hit in hits]
    try:
        async with asyncio.timeout(EMBED_WITHIN_S):
            scores = await rerank(
                bound,
                wish.reranker,
                wish.question[:MAX_QUESTION],
                texts,
                source=source,
                note=trace.note,
                gateway=gateway,
            )
    except AccessEnded:
        raise
    except AtriumError as exc:
        trace.reranker_error = exc.code
        return hits
    except TimeoutError:
        trace.reranker_error = TOO_SLOW
        return hits
    finally:
        trace.reranking_ms = _since_ms(started_s)
    ranked = sorted(zip(scores, hits, strict=True), key=lambda pair: -pair[0])
    return [replace(hit, score=score) for score, hit in ranked]


def _since_ms(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)
