"""Steps 7 and 8 where a provider takes fewer texts at once than a request holds: one attempt goes out as
several requests, its parts, one by itself and then a few at a time; one hold, one answer, one bill.

The first part goes alone: what is wrong with all of them, a key, a field, a model's name, costs nothing then,
and another attempt may follow as for any other call. Once a part was answered the call stays where it is: a
part that was refused or never sent, which is free, is sent again after a pause, and what else fails ends the
call. Parts that were answered are billed as reported, those on their way by the estimate of a lost attempt
(docs/decisions/0013).
"""

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from itertools import count

import aiohttp

from foundation.errors import AtriumError
from gateway.answers.billed import billed_usage
from gateway.calls import Call, DividedOperation
from gateway.state.quirks import Quirks
from gateway.steps.attempts import find_pause_s
from gateway.steps.dispatch import dispatch
from gateway.steps.relay import read_answer, read_aside

MOST_AT_ONCE = 4  # of one call: providers count what comes at once, and others call them too


def divided_of(call: Call) -> DividedOperation | None:
    """What divides the call for its candidate; None where it goes as it is."""
    most = call.candidate.provider.most_texts
    return call.operation.divided if most and call.text_count > most else None


async def answer_parts(
    call: Call, divided: DividedOperation, client: aiohttp.ClientSession, quirks: Quirks
) -> bytes:
    """The answer of all of them. Raises what `dispatch` and `read_answer` do."""
    call.parts = divided.divide(call, call.candidate.provider.most_texts)
    asking = _Asking(call, client, quirks)
    await asking.ask_first()
    try:
        async with asyncio.TaskGroup() as group:
            for _number in range(MOST_AT_ONCE):
                group.create_task(asking.ask_others())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed  # the first; it has ended the others
    call.note_usage(billed_usage(call)[0])
    return await read_aside(partial(divided.join, call, asking.answers), sum(map(len, asking.answers)))


class _Asking:
    """Asks for the parts of one call."""

    def __init__(self, call: Call, client: aiohttp.ClientSession, quirks: Quirks) -> None:
        self._call = call
        self._client = client
        self._quirks = quirks
        self._waiting: Iterator[tuple[int, Call]] = iter(enumerate(call.parts))
        self.answers = [b""] * len(call.parts)

    async def ask_first(self) -> None:
        """Of one that fails all is noted in the call that says whether another attempt follows."""
        call = self._call
        position, part = next(self._waiting)
        try:
            await self._ask(position, part)
        except AtriumError:
            call.has_begun, call.was_refused = part.has_begun, part.was_refused
            call.may_ask_again, call.asked_pause_s = part.may_ask_again, part.asked_pause_s
            call.note_usage(part.usage)
            raise
        call.note_first_token()

    async def ask_others(self) -> None:
        for position, part in self._waiting:
            await self._ask_again(position, part)

    async def _ask_again(self, position: int, part: Call) -> None:
        """Until the part is answered, or its failure is one that stays or costs something."""
        for tries in count(1):
            try:
                await self._ask(position, part)
                return
            except AtriumError as exc:
                pause_s = _pause_s(part, exc, tries)
                if pause_s is None:
                    self._call.may_ask_again = part.may_ask_again
                    raise
            await asyncio.sleep(pause_s)
            part.begin_attempt(part.candidate)

    async def _ask(self, position: int, part: Call) -> None:
        async with dispatch(part, self._client, self._quirks) as response:
            self.answers[position] = await read_answer(part, response)


def _pause_s(part: Call, error: AtriumError, tries: int) -> float | None:
    """How long to wait before the part is sent again; None: it is not."""
    is_free = part.was_refused or not part.was_dispatched
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    pause_s = find_pause_s(part, error, tries, jitter) if is_free else None
    return None if pause_s is None or pause_s >= part.left_s() else pause_s
