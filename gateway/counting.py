"""`POST /v1/messages/count_tokens`: how many tokens a request would have. A provider that tells it is asked,
which costs nothing; of all others, and where it does not answer, the house's estimate is told, with a header
that says so. It is no model call: nothing is held and nothing is billed.
"""

import asyncio
import logging

import orjson

from foundation.errors import AtriumError, InvalidInput
from gateway.calls import Call
from gateway.operations.messages.count import estimate
from gateway.pipeline import Collaborators
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import dispatch, guard, relay, resolve, verify
from models_registry.providers.openai_compatible import COUNT_TOKENS

logger = logging.getLogger(__name__)

PATIENCE_S = 20.0  # with a provider: clients ask before each call of theirs
ESTIMATED = (b"x-atrium-estimated", b"true")


async def prepare(call: Call, snapshot: TenantSnapshot) -> None:
    """Find who is asked. Raises what the pipeline's steps 3 and 5 raise, and InvalidInput for a form that is
    none.
    """
    await verify.verify(call)
    call.body.pop("stream", None)
    call.wants_stream = False
    resolve.resolve(call, snapshot)
    guard.guard_input(call)
    call.begin_attempt(call.candidates[0])


async def count(call: Call, gateway: Collaborators) -> bytes:
    """The answer's JSON. Raises InvalidInput for what the provider finds fault with, and what is raised for
    too many calls in work at once.
    """
    gateway.in_flight.enter(call)
    try:
        return await _count(call, gateway)
    finally:
        gateway.in_flight.leave(call)


async def _count(call: Call, gateway: Collaborators) -> bytes:
    candidate = call.candidate
    if COUNT_TOKENS in candidate.provider.paths and not gateway.breaker.wait_s(call, candidate):
        try:
            async with asyncio.timeout(PATIENCE_S):
                client = gateway.client_for(candidate.endpoint)
                async with dispatch.dispatch(call, client, gateway.quirks) as response:
                    return await relay.read_answer(call, response)
        except InvalidInput:
            raise
        except (AtriumError, TimeoutError) as exc:
            logger.info("tokens of call %s are estimated: %r", call.request_id, exc)
    call.headers.append(ESTIMATED)
    return orjson.dumps({"input_tokens": estimate(call.body)})
