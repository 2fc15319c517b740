"""Steps 7 and 8 where a provider takes fewer texts at once than a request holds: it goes out in several
parts, one by itself and then a few at a time; one hold, one answer, one bill.

The first part goes alone: what is wrong with all of them, a key, a field, a model's name, costs nothing then,
and another attempt may follow as for any other call. Later the first failure ends the call: parts that were
answered are billed as reported, those on their way by the estimate of a lost attempt (docs/decisions/0013).
"""

import asyncio
from functools import partial

import aiohttp

from foundation.errors import AtriumError
from gateway.calls import Call
from gateway.state.quirks import Quirks
from gateway.steps.dispatch import dispatch
from gateway.steps.relay import read_answer, read_aside
from gateway.steps.settle import billed_usage
from usage.pricing import Usage
from usage.quantities import add

MOST_AT_ONCE = 4  # of one call: providers count what comes at once, and others call them too


def parts_of(call: Call) -> list[Call]:
    """Those in which the call goes to its candidate; none where it goes as it is."""
    divided, most = call.operation.divided, call.candidate.provider.most_texts
    if divided is None or not most or call.text_count <= most:
        return []
    return divided.divide(call, most)


async def answer_parts(call: Call, parts: list[Call], client: aiohttp.ClientSession, quirks: Quirks) -> bytes:
    """The answer of all of them. Raises what `dispatch` and `read_answer` do."""
    divided = call.operation.divided
    if divided is None:
        raise TypeError(f"{call.operation.name} is not divided")
    answers = [b""] * len(parts)
    waiting = iter(enumerate(parts))

    async def ask(position: int, part: Call) -> None:
        try:
            async with dispatch(part, client, quirks) as response:
                answers[position] = await read_answer(part, response)
        except AtriumError:
            call.may_ask_again, call.asked_pause_s = part.may_ask_again, part.asked_pause_s
            raise

    async def ask_all() -> None:
        for position, part in waiting:
            await ask(position, part)

    try:
        await ask(*next(waiting))
        async with asyncio.TaskGroup() as group:
            for _number in range(MOST_AT_ONCE):
                group.create_task(ask_all())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed  # the first; it has ended the others
    finally:
        _sum_up(call, parts)
    return await read_aside(partial(divided.join, call, answers), sum(map(len, answers)))


def _sum_up(call: Call, parts: list[Call]) -> None:
    """What the parts have used, as one report of the call."""
    bills = [billed_usage(part) for part in parts]
    quantities: dict[str, int] = {}
    for usage, _is_estimated in bills:
        quantities = add(quantities, usage.quantities)
    call.was_refused = not quantities
    if quantities:
        call.note_first_token()
        call.note_usage(Usage.of(quantities))
        call.is_usage_final = not any(is_estimated for _usage, is_estimated in bills)
