"""Vectors and relevances for the house: the way of `gateway.run`, for models that answer in one piece.

    vectors = await embed(principal, "multilingual-e5-small", texts, source="knowledge")
    embedding = start_embedding(payer, model, texts, source="knowledge")  # in a worker or a view
    vectors = embedding.wait(run.check)

Rights, data policies, limits and the bill are those of any call; `Payer` says who is asked for them where
nobody is there.
"""

import struct
from base64 import b64decode
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import orjson

from foundation.errors import InvalidInput, NotAllowed, NotFound
from foundation.told import gettext as _
from gateway import pipeline
from gateway.calls import Call, Operation, Principal
from gateway.loop import GatewayLoop, get_loop, start_on_loop, wait_on_loop
from gateway.operations import embeddings
from gateway.operations import rerank as reranking
from gateway.operations.body import check_model
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.authenticate import check_door
from gateway.steps.lookup import find_route

Purpose = Literal["query", "passage"]
Vectors = list[list[float]]
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Payer:
    """A person of a tenant, on whose bill it goes and whose rights are asked. `data_policy`: of what is
    read.
    """

    tenant: str
    user_id: UUID
    project_id: UUID | None = None  # None: the default one
    data_policy: str = ""
    key_name: str = ""  # by which it was asked for: its budget, limits and models bind, while it is in force


async def act_as(payer: Payer, gateway: GatewayLoop | None = None) -> Principal:
    """The person as a caller. Raises NotAllowed (`access_ended`) for one who is kept out, NotFound,
    Unavailable.
    """
    gateway = gateway or get_loop()
    snapshot = await snapshot_of(payer.tenant, gateway)
    person = await gateway.snapshots.find_person(snapshot, payer.user_id)
    if person is None or not person.is_active:
        raise NotAllowed(_("Whoever this is done for may no longer use the platform."), code="access_ended")
    key = await gateway.snapshots.find_key(snapshot, payer.key_name) if payer.key_name else None
    if key is not None and key.is_usable and key.principal.user_id == payer.user_id:
        return replace(key.principal, data_policy=payer.data_policy)
    project_id = payer.project_id
    if project_id is None or not person.is_member(project_id):
        project_id = snapshot.project_id
    return replace(person.act_on(project_id), data_policy=payer.data_policy)


async def embed(
    principal: Principal,
    model: str,
    texts: Sequence[str],
    *,
    source: str,
    purpose: Purpose = "passage",
    note: Callable[[Call], object] = lambda call: None,
    gateway: GatewayLoop | None = None,
) -> Vectors:
    """One vector a text, in their order. `note` gets the call when it is billed, also one that failed. Raises
    AtriumError as `/v1/embeddings` does; `context_length_exceeded` where a text is too long for the model.
    """
    if not texts:
        return []
    gateway = gateway or get_loop()
    snapshot = await snapshot_of(principal.tenant, gateway)
    body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "base64"}
    word = _word_for(purpose, model, principal, snapshot)
    try:
        answer = await _ask(principal, embeddings.OPERATION, body | word, source, note, snapshot, gateway)
    except InvalidInput as exc:
        if not word or "input_type" not in (exc.param, *str(exc.message).split()):
            raise
        # a model of this provider that makes no difference between the two
        answer = await _ask(principal, embeddings.OPERATION, body, source, note, snapshot, gateway)
    return [_unpack(one["embedding"]) for one in answer["data"]]


async def rerank(
    principal: Principal,
    model: str,
    query: str,
    texts: Sequence[str],
    *,
    source: str,
    note: Callable[[Call], object] = lambda call: None,
    gateway: GatewayLoop | None = None,
) -> list[float]:
    """How relevant each text is to the question, in the order of the texts; what the model left out, 0.
    Raises AtriumError as `/v1/rerank` does.
    """
    if not texts:
        return []
    gateway = gateway or get_loop()
    snapshot = await snapshot_of(principal.tenant, gateway)
    body = {"model": model, "query": query, "documents": list(texts)}
    answer = await _ask(principal, reranking.OPERATION, body, source, note, snapshot, gateway)
    scores = {one["index"]: one["relevance_score"] for one in answer["results"]}
    return [float(scores.get(place, 0.0)) for place in range(len(texts))]


class Pending:
    """What was asked for from sync code. `cost` is known when it has ended."""

    def __init__(self, work: Callable[[GatewayLoop, Callable[[Call], object]], Any]) -> None:
        self.cost = Decimal(0)
        self._future: Future[Any] = start_on_loop(lambda gateway: work(gateway, self._note))

    def _note(self, call: Call) -> None:
        self.cost += call.cost

    def wait(self, check: Callable[[], object] = lambda: None) -> Any:
        """Blocks. `check` is asked every second; what it raises ends the call, which is billed as it was."""
        return wait_on_loop(self._future, check)

    def cancel(self) -> None:
        self._future.cancel()


def start_embedding(
    payer: Payer, model: str, texts: Sequence[str], *, source: str, purpose: Purpose = "passage"
) -> Pending:
    """The sync twin of `embed`; several may be under way."""

    async def work(gateway: GatewayLoop, note: Callable[[Call], object]) -> Vectors:
        principal = await act_as(payer, gateway)
        return await embed(
            principal, model, texts, source=source, purpose=purpose, note=note, gateway=gateway
        )

    return Pending(work)


def embed_now(
    payer: Payer, model: str, texts: Sequence[str], *, source: str, purpose: Purpose = "passage"
) -> Vectors:
    """Blocks: for workers and views, never on an event loop."""
    return start_embedding(payer, model, texts, source=source, purpose=purpose).wait()


def rerank_now(payer: Payer, model: str, query: str, texts: Sequence[str], *, source: str) -> list[float]:
    """Blocks: for workers and views, never on an event loop."""

    async def work(gateway: GatewayLoop, note: Callable[[Call], object]) -> list[float]:
        principal = await act_as(payer, gateway)
        return await rerank(principal, model, query, texts, source=source, note=note, gateway=gateway)

    return Pending(work).wait()


async def snapshot_of(tenant: str, gateway: GatewayLoop) -> TenantSnapshot:
    snapshot = await gateway.snapshots.find(tenant)
    if snapshot is None:
        raise NotFound(_("This organisation no longer exists."), code="unknown_tenant")
    check_door(snapshot)
    return snapshot


async def _ask(
    principal: Principal,
    operation: Operation,
    body: dict[str, Any],
    source: str,
    note: Callable[[Call], object],
    snapshot: TenantSnapshot,
    gateway: GatewayLoop,
) -> dict[str, Any]:
    size_bytes = len(orjson.dumps(body[operation.input_name]))
    call = Call(principal=principal, body=body, size_bytes=size_bytes, operation=operation, source=source)
    check_model(call.body)
    operation.check(call)
    await pipeline.prepare(call, snapshot, gateway)
    try:
        return orjson.loads(await pipeline.complete(call, gateway))
    finally:
        note(call)


def _word_for(purpose: Purpose, model: str, principal: Principal, snapshot: TenantSnapshot) -> dict[str, str]:
    """By which the model's servers know what texts are for, where all of them have the same."""
    route = find_route(model, principal, snapshot)
    targets = route.targets if route is not None else ()
    words = {target.endpoint.provider.purposes.get(purpose, "") for target in targets}
    return {"input_type": word} if len(words) == 1 and (word := words.pop()) else {}


def _unpack(packed: str) -> list[float]:
    raw = b64decode(packed)
    return list(struct.unpack(f"<{len(raw) // FLOAT_BYTES}f", raw))
