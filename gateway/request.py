"""A request to `/v1` of a known caller, and the ways to answer it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from foundation.errors import AtriumError
from foundation.http_server import HEARERS, Hearers
from gateway.calls import Call, Principal, streamed_of
from gateway.door import Visit
from gateway.http import AsgiScope, ClientGone, Receive, Send, in_time, send_answer
from gateway.loop import GatewayLoop
from gateway.state.snapshot import TenantSnapshot

SEND_TIMEOUT_S = 60.0  # a client that takes nothing for so long is gone
# An answer in one piece says only at its end what it cost. For a client who has gone that is waited for as
# long as most answers take; one that comes later is billed as long as it may be.
READ_ON_S = 30.0
HEARTBEAT_S = 15.0
# What only an administrator can change, at the connection.
NOT_BY_ASKING = frozenset(
    {
        "upstream_credentials",
        "upstream_quota",
        "upstream_region",
        "upstream_not_found",
        "upstream_refused",
        "redirected",
        "egress_refused",
    }
)
DROPPED = b"x-atrium-dropped-params"
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")


@dataclass(slots=True)
class Request:
    """A request of a known caller."""

    scope: AsgiScope
    receive: Receive
    send: Send
    gateway: GatewayLoop
    principal: Principal
    snapshot: TenantSnapshot
    visit: Visit

    async def answer(self, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Raises ClientGone if the client takes nothing for SEND_TIMEOUT_S."""
        try:
            await in_time(SEND_TIMEOUT_S, send_answer(self.send, 200, body, self.visit.headers(headers)))
        except TimeoutError:
            raise ClientGone from None

    async def send_in_time(self, message: dict[str, Any]) -> None:
        """A piece of an answer that the caller makes. Raises ClientGone as `answer` does."""
        try:
            await in_time(SEND_TIMEOUT_S, self.send(message))
        except TimeoutError:
            raise ClientGone from None


def headers_of(call: Call) -> list[tuple[bytes, bytes]]:
    """What an answer's headers say of its call: limits, deprecation, who answers, which wishes go unheeded,
    how far we bounded the answer where the caller did not, or not so low, and, once it is settled, what it
    cost. Headers that left with a sign of life name who was asked at that time.
    """
    headers = [
        *call.headers,
        (b"x-atrium-model", call.route.name.encode()),
        *attempts_header(call),
    ]
    if dropped := call.list_dropped():
        headers.append((DROPPED, ", ".join(dropped).encode()))
    if call.max_output_tokens and call.max_output_tokens != call.asked_output_tokens:
        headers.append((b"x-atrium-max-tokens", b"%d" % call.max_output_tokens))
    if call.is_settled:
        headers.append((b"x-atrium-cost", f"{call.cost.normalize():f} {call.route.price.currency}".encode()))
    return headers


def attempts_header(call: Call) -> list[tuple[bytes, bytes]]:
    """Of a call that was begun."""
    return [(b"x-atrium-attempts", b"%d" % (len(call.attempts) + 1))]


def retry_header(call: Call, error: AtriumError) -> list[tuple[bytes, bytes]]:
    """That it is not to be asked again, of a settled call that failed. OpenAI's clients repeat every error of
    ours twice unless that is said: here where a provider has worked for it, where we have repeated it, and
    where asking changes nothing.
    """
    was_paid = call.usage is not None and call.usage.total_tokens > 0
    was_paid = was_paid or any(one.usage.total_tokens for one in call.attempts)
    was_repeated = bool(call.attempts) and not error.retry_after_s
    is_in_vain = was_repeated or error.code in NOT_BY_ASKING or not call.may_ask_again
    if was_paid or (is_in_vain and error.http_status >= 500):
        return [(b"x-should-retry", b"false")]
    return []


async def answer_whole(request: Request, making: Awaitable[bytes], call: Call) -> None:
    """Send the answer once it is there. Where the client leaves before, its bill is exact if it comes within
    READ_ON_S; else its making ends, and the upstream's work. Raises ClientGone, and what the making raises.
    """
    with _cancelled_when_gone(request, READ_ON_S):
        answer = await making
    await request.answer(answer, headers_of(call))


async def send_stream(request: Request, frames: AsyncGenerator[bytes], call: Call) -> None:
    """Pass the frames on while the client takes them. A refusal before the first frame is raised, so that it
    keeps its status. Raises ClientGone; what makes the frames has ended then.

    While nothing comes for HEARTBEAT_S a comment is sent, so that no proxy takes the stream for dead; before
    the first frame it brings the headers with it, and a refusal after it is an event.
    """
    with _cancelled_when_gone(request) as watch:
        sender = _Sender(request, call, watch)
        try:
            try:
                async for part in frames:
                    await sender.send(part)
            except AtriumError as exc:
                if not sender.has_begun:
                    raise
                await sender.send(streamed_of(call).make_face(call).close(exc))
        finally:
            sender.stop()
            await frames.aclose()
        await sender.end()


class _Sender:
    """Sends the parts of one stream, and a sign of life where none comes."""

    def __init__(self, request: Request, call: Call, watch: "_ClientWatch") -> None:
        self._send = request.send
        self._request = request
        self._call = call
        self._watch = watch
        self._sent_s = watch.loop.time()
        self._beating: asyncio.Task[None] | None = None
        self._heartbeat = streamed_of(call).make_face(call).heartbeat
        self._timer = watch.loop.call_later(HEARTBEAT_S, self._look)
        self.has_begun = False
        watch.watch_sending()

    async def send(self, part: bytes) -> None:
        watch = self._watch
        if self._beating is not None:
            await self._beating
        watch.sends_since_s = self._sent_s = watch.loop.time()
        if not self.has_begun:
            await self._begin()
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        watch.sends_since_s = None

    async def _begin(self) -> None:
        self.has_begun = True
        request = self._request
        headers = [
            EVENT_STREAM,
            (b"x-accel-buffering", b"no"),  # for nginx
            *request.visit.headers(headers_of(self._call)),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def end(self) -> None:
        self._watch.sends_since_s = self._watch.loop.time()
        await self._send({"type": "http.response.body", "body": b""})

    def stop(self) -> None:
        self._timer.cancel()
        if self._beating is not None:
            self._beating.cancel()

    def _look(self) -> None:
        rest_s = self._sent_s + HEARTBEAT_S - self._watch.loop.time()
        if rest_s <= 0 and self._beating is None and self._watch.sends_since_s is None:
            self._beating = self._watch.loop.create_task(self._beat())
        self._timer = self._watch.loop.call_later(rest_s if rest_s > 0 else HEARTBEAT_S, self._look)

    async def _beat(self) -> None:
        try:
            self._watch.sends_since_s = self._sent_s = self._watch.loop.time()
            if not self.has_begun:
                await self._begin()
            await self._send({"type": "http.response.body", "body": self._heartbeat, "more_body": True})
            self._watch.sends_since_s = None
        finally:
            self._beating = None


class _ClientWatch:
    """Within it, the running task is cancelled when its client closes the connection (`patience_s` later), or
    takes nothing of what is sent for SEND_TIMEOUT_S. Raises ClientGone then.
    """

    def __init__(self, request: Request, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._hearers: Hearers | None = request.scope.get(HEARERS)
        self.loop = asyncio.get_running_loop()
        self.sends_since_s: float | None = None
        self.is_gone = False
        self._receive = request.receive
        self._watched = asyncio.current_task()
        self._hearing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> "_ClientWatch":
        self.start()
        return self

    def __exit__(self, _kind: object, exception: BaseException | None, _trace: object) -> None:
        watched = self._watched
        self.stop()
        if self.is_gone and watched is not None and isinstance(exception, asyncio.CancelledError):
            watched.uncancel()
            raise ClientGone from None

    def start(self) -> None:
        if self._hearers is not None:
            self._hearers.add(self._begin_to_leave)
        else:  # another server than ours
            self._hearing = self.loop.create_task(self._hear())

    def stop(self) -> None:
        self._watched = None
        if self._timer:
            self._timer.cancel()
        if self._hearers is not None:
            self._hearers.remove(self._begin_to_leave)
        if self._hearing:
            self._hearing.cancel()

    async def _hear(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._begin_to_leave()

    def _begin_to_leave(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(self._patience_s, self._give_up)

    def watch_sending(self) -> None:
        """By `sends_since_s`, from now on."""
        rest_s = (
            SEND_TIMEOUT_S
            if self.sends_since_s is None
            else self.sends_since_s + SEND_TIMEOUT_S - self.loop.time()
        )
        if rest_s > 0:
            self._timer = self.loop.call_later(rest_s, self.watch_sending)
        else:
            self._give_up()

    def _give_up(self) -> None:
        if self._watched is not None:
            self.is_gone = True
            self._watched.cancel()


def _cancelled_when_gone(request: Request, patience_s: float = 0.0) -> AbstractContextManager[_ClientWatch]:
    return _ClientWatch(request, patience_s)
