"""`POST /v1/messages/count_tokens`: how many tokens a request would have. A provider that tells it is asked,
which costs nothing, at two of the model's endpoints at most; of all others, and where none answers, the
house's estimate is told, with a header that says so. It is no model call: nothing is held and nothing is
billed.
"""

import asyncio
import logging

import orjson

from foundation.errors import AtriumError, InvalidInput
from gateway.calls import Call
from gateway.operations.messages.count import estimate
from gateway.pipeline import Collaborators
from gateway.state.snapshot import TenantSnapshot
from gateway.steps import choose, dispatch, guard, relay, resolve, verify
from models_registry.providers.openai_compatible import COUNT_TOKENS
from models_registry.routes import Candidate

logger = logging.getLogger(__name__)

PATIENCE_S = 20.0  # with all that are asked: clients ask before each call of theirs
MOST_ASKED = 2
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


async def count(call: Call, gateway: Collaborators) -> bytes:
    """The answer's JSON. Raises InvalidInput for what the provider finds fault with, and what is raised for
    too many calls in work at once.
    """
    gateway.in_flight.enter(call)
    try:
        for candidate, patience_s in _list_asked(call, gateway):
            call.begin_attempt(candidate)
            if (told := await _ask(call, gateway, patience_s)) is not None:
                return told
    finally:
        gateway.load.leave(call)
        gateway.in_flight.leave(call)
    call.headers.append(ESTIMATED)
    return orjson.dumps({"input_tokens": estimate(call.body)})


def _list_asked(call: Call, gateway: Collaborators) -> list[tuple[Candidate, float]]:
    """The endpoints of the model that count and are ready, in the order of other calls, and how long each may
    take. Its stand-ins have other tokens.
    """
    model_id = call.candidates[0].route.model_id
    own = [one for one in call.candidates if one.route.model_id == model_id]
    call.candidates = [one for one in own if COUNT_TOKENS in one.provider.paths]
    choose.arrange(call, gateway.breaker, gateway.load)
    ready = [one for one in call.candidates if gateway.breaker.is_ready(call, one)][:MOST_ASKED]
    return [(one, PATIENCE_S / len(ready)) for one in ready]


async def _ask(call: Call, gateway: Collaborators, patience_s: float) -> bytes | None:
    """What the call's candidate tells; None where it does not."""
    gateway.breaker.begin(call)
    gateway.load.move(call)
    try:
        async with asyncio.timeout(patience_s):
            client = gateway.client_for(call.candidate.endpoint)
            async with dispatch.dispatch(call, client, gateway.quirks) as response:
                answer = await relay.read_answer(call, response)
    except (AtriumError, TimeoutError) as exc:
        gateway.breaker.note(call, exc.code if isinstance(exc, AtriumError) else "upstream_timeout")
        if isinstance(exc, InvalidInput):
            raise
        logger.info("tokens of call %s are not counted: %r", call.request_id, exc)
        return None
    gateway.breaker.note(call, "")
    return answer
