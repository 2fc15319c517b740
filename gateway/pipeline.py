"""The way of a model call. `/v1`, the chat and every other room take it: one way, one bill, one guard.

1 authenticate  the caller: a key at `/v1` (gateway.steps.authenticate), a session in the chat
2 parse         the request into a Call (gateway.operations)
3 resolve       the model's name into candidates, from memory, as far as they can do what is asked
                (gateway.steps.capable)
4 admit         all limits of requests, tokens and calls at once, in one round trip; then the form that is
                wanted is checked, where that takes long (gateway.steps.verify)
5 guard         the input
6 reserve       the highest possible cost
7 dispatch      to an endpoint; another attempt may follow one that failed before its first byte. More texts
                than a provider takes at once go out as several requests (gateway.steps.divide)
8 relay         the answer, chunk by chunk; of several requests as one
9 settle        the exact bill, before the last byte
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from typing import Protocol, TypeVar

import aiohttp

from foundation.errors import AtriumError
from gateway import faces
from gateway.answers.empty import NothingSaid
from gateway.answers.stream import Face
from gateway.calls import Call, ClientFace, streamed_of
from gateway.deltas import Delta
from gateway.errors import AccessEnded
from gateway.state.breaker import Breaker
from gateway.state.in_flight import InFlight
from gateway.state.limits import Limiter
from gateway.state.load import Load
from gateway.state.quirks import Quirks
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import (
    admit,
    attempts,
    capable,
    choose,
    dispatch,
    divide,
    guard,
    relay,
    reserve,
    resolve,
    settle,
    verify,
)
from models_registry.routes import Endpoint
from usage.ledger.ledger import Ledger

logger = logging.getLogger(__name__)

PROGRESS_EVERY_S = 2.0
T = TypeVar("T")


class Collaborators(Protocol):
    """What the steps need; the gateway's loop provides it, tests hand in their own."""

    limiter: Limiter
    ledger: Ledger
    in_flight: InFlight
    breaker: Breaker
    load: Load
    quirks: Quirks

    def client_for(self, endpoint: Endpoint) -> aiohttp.ClientSession: ...

    async def may_still_call(self, call: Call) -> bool: ...


async def prepare(call: Call, snapshot: TenantSnapshot, gateway: Collaborators) -> None:
    """Steps 3 to 6. After it, money is held: `complete`, `stream` or `deltas` must follow, and they settle
    whatever happens.
    """
    await gateway.in_flight.come_in(call)
    try:
        try:
            resolve.resolve(call, snapshot)
            capable.keep_capable(call)
        finally:  # a call of a model that does not exist counts as a request too
            await admit.admit(call, snapshot, gateway.limiter)
        await verify.verify(call)
        guard.guard_input(call)
        reserve.keep_affordable(call)
        choose.arrange(call, gateway.breaker, gateway.load)
        attempts.choose_first(call, gateway.breaker)
        gateway.load.move(call)
        await reserve.reserve(call, gateway.ledger)
    except BaseException:
        gateway.load.leave(call)
        gateway.in_flight.leave(call)
        admit.give_back(call, gateway.limiter)
        raise


async def complete(call: Call, gateway: Collaborators) -> bytes:
    """Steps 7 to 9 for an answer in one piece: its JSON. Raises AtriumError; the call is settled either
    way.
    """
    following = attempts.Attempts(call, gateway.breaker, gateway.ledger)
    try:
        with _Judged(call), _Progress(call, gateway):
            while True:
                try:
                    answer = await _ask(call, gateway)
                    gateway.breaker.note(call, "")
                    return answer
                except NothingSaid as exc:
                    gateway.breaker.note(call, "")
                    if not await following.follow(exc):
                        return bytes(exc.parts[0])
                except AtriumError as exc:
                    gateway.breaker.note(call, exc.code)
                    if not await following.follow(exc):
                        raise
    finally:
        await _conclude(call, gateway)


async def _ask(call: Call, gateway: Collaborators) -> bytes:
    """The answer of the current candidate, which may take fewer texts at once than the call has."""
    if divided := divide.divided_of(call):
        _begin(call, gateway)
        client = gateway.client_for(call.candidate.endpoint)
        return await divide.answer_parts(call, divided, client, gateway.quirks)
    async with _dispatch(call, gateway) as response:
        return await relay.read_answer(call, response)


async def stream(call: Call, gateway: Collaborators) -> AsyncGenerator[bytes]:
    """Steps 7 to 9 for a streamed answer: its frames, of which the last leaves only after the bill is
    durable.

    An error before the first frame is raised, so that the answer can have its status; a later one becomes an
    error frame.
    """
    face: ClientFace | None = None
    failure: AtriumError | None = None

    def make_face() -> ClientFace:
        nonlocal face
        face = streamed_of(call).make_face(call)
        return face

    has_begun = False
    try:
        # who leaves in the middle has settled before this ends
        async with aclosing(_relay_and_settle(call, gateway, make_face)) as parts:
            async for frames in parts:
                has_begun = True
                yield frames
    except AtriumError as exc:
        if not has_begun:
            raise
        failure = exc
    if face is not None:  # that of the answer which was passed on
        yield face.close(failure)


async def deltas(call: Call, gateway: Collaborators) -> AsyncGenerator[Delta]:
    """Steps 7 to 9 for the house: the answer in typed pieces; it ends when the bill is durable. Raises
    AtriumError, also in the middle.
    """
    async with aclosing(_relay_and_settle(call, gateway, faces.Deltas)) as parts:
        async for pieces in parts:
            for piece in pieces:
                yield piece


async def _relay_and_settle(
    call: Call, gateway: Collaborators, make_face: Callable[[], Face[T]]
) -> AsyncGenerator[T]:
    """The answer of the first candidate that gives one. What has begun is not tried again."""
    following = attempts.Attempts(call, gateway.breaker, gateway.ledger)
    has_begun = False
    try:
        with _Judged(call), _Progress(call, gateway) as progress:
            while True:
                try:
                    async with _dispatch(call, gateway) as response:
                        answer = _read(call, response, make_face())
                        with progress.of(response.content):
                            async with aclosing(answer) as parts:
                                async for part in parts:
                                    has_begun = True
                                    yield part
                    gateway.breaker.note(call, "")
                    return
                except NothingSaid as exc:
                    gateway.breaker.note(call, "")
                    if not await following.follow(exc):
                        for part in exc.parts:
                            yield part
                        return
                except AtriumError as exc:
                    gateway.breaker.note(call, exc.code)
                    if has_begun or not await following.follow(exc):
                        raise
    finally:
        await _conclude(call, gateway)


def _read(call: Call, response: aiohttp.ClientResponse, face: Face[T]) -> AsyncGenerator[T]:
    if call.form is not None and call.is_form_ours:
        return relay.relay_checked(call, call.form, response, face)
    return relay.relay(call, response, face)


def _dispatch(call: Call, gateway: Collaborators) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    _begin(call, gateway)
    return dispatch.dispatch(call, gateway.client_for(call.candidate.endpoint), gateway.quirks)


def _begin(call: Call, gateway: Collaborators) -> None:
    gateway.breaker.begin(call)
    gateway.load.move(call)


async def _conclude(call: Call, gateway: Collaborators) -> None:
    gateway.load.leave(call)
    gateway.in_flight.leave(call)
    try:
        await settle.settle(call, gateway.ledger)
    finally:
        admit.give_back(call, gateway.limiter)


class _Judged:
    """What the bill says of how the call ended."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, exception: BaseException | None, _trace: object) -> None:
        if exception is None:
            return
        call = self._call
        if isinstance(exception, AtriumError):
            call.status = "error"
            call.error_code = exception.code
            call.error_message = str(exception.message)
        elif isinstance(exception, asyncio.CancelledError | GeneratorExit):
            call.status = "cancelled"
        elif isinstance(exception, Exception):
            # What nobody foresaw is no answer either: the bill says so, and the log says why.
            call.status = "error"
            call.error_code = "internal_error"


class _Progress:
    """Every two seconds: writes down how far a stream has come, so that a bill survives the death of this
    process, and ends the answer of a caller who may call no longer.
    """

    def __init__(self, call: Call, gateway: Collaborators) -> None:
        self._call = call
        self._gateway = gateway
        self._content: aiohttp.StreamReader | None = None  # of the stream that is being passed on
        self._seen = 0  # tokens of it, when it was last marked
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._asking: asyncio.Task[None] | None = None
        self._has_cancelled = False

    def __enter__(self) -> "_Progress":
        self._wait()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()
        if self._has_cancelled and self._task is not None and not self._task.uncancel():
            raise AccessEnded  # nobody else has cancelled it

    @contextmanager
    def of(self, content: aiohttp.StreamReader) -> Iterator[None]:
        """While this stream is passed on. Its first mark comes when a whole interval of it has passed: a hold
        without a mark is billed in full, and one with a young mark for less than what had come.
        """
        self._content = content
        self._seen = 0
        self._timer.cancel()
        self._wait()
        try:
            yield
        finally:
            self._content = None

    def _wait(self) -> None:
        self._timer = self._loop.call_later(PROGRESS_EVERY_S, self._note)

    def _note(self) -> None:
        call = self._call
        if self._content is not None:
            self._gateway.ledger.mark(call.principal.tenant, call.request_id, self._foresee())
        if self._asking is None or self._asking.done():
            self._asking = self._loop.create_task(self._ask())
        self._wait()

    def _foresee(self) -> int:
        """How far the answer will be at the next mark, if it goes on as since the last one: at the moment of
        a death a mark is up to three seconds old, with the lane's second.
        """
        seen, before = self._call.output_tokens_seen, self._seen
        self._seen = seen
        return min(2 * seen - before, max(seen, self._call.most_written))

    async def _ask(self) -> None:
        try:
            if await self._gateway.may_still_call(self._call):
                return
        except Exception:  # the next time will tell
            logger.exception("whether a caller may go on cannot be told")
            return
        if self._content is not None:
            self._content.set_exception(AccessEnded())
        elif self._task is not None and not self._has_cancelled:  # it waits for an answer, inside of us
            self._has_cancelled = True
            self._task.cancel()
