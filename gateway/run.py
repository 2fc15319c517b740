"""Calling a model from inside the house: the chat, agents, services, evaluation.

    answer = run(principal, {"model": …, "messages": …}, source="chat")
    async with aclosing(answer):
        async for delta in answer:  # gateway.deltas: Text, Reasoning, TextWasReasoning, ToolCall, Finish
            ...
    answer.call.cost, answer.call.usage              # the bill is durable

The same way as at `/v1`: one bill, one guard, one reader of what servers send. Nobody inside speaks to a
model server, or reads its bytes.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import orjson

from foundation.errors import NotFound
from foundation.ids import uuid7
from foundation.told import gettext as _
from gateway import pipeline
from gateway.calls import Call, Principal
from gateway.deltas import Delta
from gateway.loop import GatewayLoop, get_loop
from gateway.operations import chat_completions
from gateway.operations.body import check_model
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.authenticate import check_door
from gateway.steps.lookup import find_route, find_ways


class Run(AsyncIterator[Delta]):
    """One answer. Nothing is sent before it is iterated; leaving it early cancels and settles the call."""

    def __init__(self, call: Call, gateway: GatewayLoop) -> None:
        self.call = call
        self._deltas = _deltas(call, gateway)

    async def __anext__(self) -> Delta:
        return await anext(self._deltas)

    async def aclose(self) -> None:
        await self._deltas.aclose()


def run(
    principal: Principal,
    body: dict[str, Any],
    source: str,
    *,
    request_id: UUID | None = None,
    gateway: GatewayLoop | None = None,
) -> Run:
    """A chat completion of somebody known, in typed pieces. `source`: which room asks; the bill says so.

    Raises InvalidInput for a body that `/v1` would refuse; iterating it raises AtriumError, before its first
    piece or in the middle. What was used is billed whatever happens.
    """
    operation = chat_completions.OPERATION
    call = Call(
        principal=principal,
        body={**body, "stream": True},
        size_bytes=len(orjson.dumps(body)),
        operation=operation,
        source=source,
        request_id=request_id or uuid7(),
    )
    check_model(call.body)
    operation.check(call)
    return Run(call, gateway or get_loop())


def goes_on(model_name: str, principal: Principal, snapshot: TenantSnapshot) -> bool:
    """Whether every server that may be asked goes on with an answer that has begun."""
    route = find_route(model_name, principal, snapshot)
    if route is None:
        return False
    ways = find_ways(route, model_name, principal, snapshot)
    return all(target.endpoint.provider.continues_answers for way in ways for target in way.targets)


async def _deltas(call: Call, gateway: GatewayLoop) -> AsyncGenerator[Delta]:
    snapshot = await gateway.snapshots.find(call.principal.tenant)
    if snapshot is None:
        raise NotFound(_("This organisation no longer exists."), code="unknown_tenant")
    check_door(snapshot)
    await pipeline.prepare(call, snapshot, gateway)
    async with aclosing(pipeline.deltas(call, gateway)) as deltas:
        async for delta in deltas:
            yield delta
