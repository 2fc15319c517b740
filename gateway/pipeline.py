"""The way of a model call. `/v1`, the chat and every other room take it: one way, one bill, one guard.

1 authenticate  the caller: a key at `/v1` (gateway.steps.authenticate), a session in the chat
2 parse         the request into a Call (gateway.parse)
3 resolve       the model's name into a route, from memory
4 admit         all limits of requests, tokens and calls at once, in one round trip
5 guard         the input
6 reserve       the highest possible cost
7 dispatch      to the endpoint
8 relay         the answer, chunk by chunk
9 settle        the exact bill, before the last byte
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import aiohttp

from foundation.errors import AtriumError
from gateway.answers.sse import DONE, frame
from gateway.answers.usage import usage_frame
from gateway.calls import Call
from gateway.rights import AccessEnded
from gateway.state.breaker import Breaker
from gateway.state.in_flight import InFlight
from gateway.state.limits import Limiter
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import admit, dispatch, guard, relay, reserve, resolve, settle
from models_registry.routes import Endpoint
from usage.ledger.ledger import Ledger

PROGRESS_EVERY_S = 2.0


class Collaborators(Protocol):
    """What the steps need; the gateway's loop provides it, tests hand in their own."""

    limiter: Limiter
    ledger: Ledger
    in_flight: InFlight
    breaker: Breaker

    def client_for(self, endpoint: Endpoint) -> aiohttp.ClientSession: ...

    async def may_still_call(self, call: Call) -> bool: ...


async def prepare(call: Call, snapshot: TenantSnapshot, gateway: Collaborators) -> None:
    """Steps 3 to 6. After it, money is held: `complete` or `stream` must follow, and they settle whatever
    happens.
    """
    gateway.in_flight.enter(call)
    try:
        try:
            resolve.resolve(call, snapshot)
        finally:  # a call of a model that does not exist counts as a request too
            await admit.admit(call, snapshot, gateway.limiter)
        guard.guard_input(call)
        gateway.breaker.check(call)
        await reserve.reserve(call, gateway.ledger)
    except BaseException:
        gateway.in_flight.leave(call)
        admit.give_back(call, gateway.limiter)
        raise


async def complete(call: Call, gateway: Collaborators) -> bytes:
    """Steps 7 to 9 for an answer in one piece: its JSON. Raises
    AtriumError; the call is settled either way.
    """
    try:
        async with dispatch.dispatch(call, gateway.client_for(call.route.endpoint)) as response:
            return await relay.read_answer(call, response)
    except AtriumError as exc:
        _note_error(call, exc)
        raise
    except asyncio.CancelledError:
        call.status = "cancelled"
        raise
    except Exception:
        _note_bug(call)
        raise
    finally:
        await _conclude(call, gateway)


async def stream(call: Call, gateway: Collaborators) -> AsyncGenerator[bytes]:
    """Steps 7 to 9 for a streamed answer: its frames, ending with `[DONE]`, which leaves only after the bill
    is durable.

    An error before the first frame is raised, so that the answer can have its status; a later one becomes an
    error frame.
    """
    has_begun, failure = False, None
    try:
        # who leaves in the middle has settled before this ends
        async with aclosing(_relay_and_settle(call, gateway)) as parts:
            async for frames in parts:
                has_begun = True
                yield frames
    except AtriumError as exc:
        if not has_begun:
            raise
        failure = exc
    if failure is not None:
        yield relay.error_frame(failure)
    elif call.wants_usage and call.is_estimated and call.usage is not None:
        yield usage_frame(call, call.usage)
    yield frame(DONE)


async def _relay_and_settle(call: Call, gateway: Collaborators) -> AsyncGenerator[bytes]:
    try:
        async with dispatch.dispatch(call, gateway.client_for(call.route.endpoint)) as response:
            with _Progress(call, gateway, response.content):
                async for frames in relay.relay(call, response):
                    yield frames
    except AtriumError as exc:
        _note_error(call, exc)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        call.status = "cancelled"
        raise
    except Exception:
        _note_bug(call)
        raise
    finally:
        await _conclude(call, gateway)


async def _conclude(call: Call, gateway: Collaborators) -> None:
    gateway.breaker.note(call)
    gateway.in_flight.leave(call)
    try:
        await settle.settle(call, gateway.ledger)
    finally:
        admit.give_back(call, gateway.limiter)


def _note_error(call: Call, error: AtriumError) -> None:
    call.status = "error"
    call.error_code = error.code
    call.error_message = str(error.message)


def _note_bug(call: Call) -> None:
    """What nobody foresaw is no answer either: the bill says so, and the log says why."""
    call.status = "error"
    call.error_code = "internal_error"


class _Progress:
    """Every two seconds: writes down how far a stream has come, so that a bill survives the death of this
    process, and ends the stream of a caller who may call no longer.
    """

    def __init__(self, call: Call, gateway: Collaborators, content: aiohttp.StreamReader) -> None:
        self._call = call
        self._gateway = gateway
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._asking: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._wait()

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _wait(self) -> None:
        self._timer = self._loop.call_later(PROGRESS_EVERY_S, self._note)

    def _note(self) -> None:
        self._gateway.ledger.mark(
            self._call.principal.tenant, self._call.request_id, self._call.output_tokens_seen
        )
        self._asking = self._loop.create_task(self._ask())
        self._wait()

    async def _ask(self) -> None:
        if not await self._gateway.may_still_call(self._call):
            self._content.set_exception(AccessEnded())
