"""Between steps 5 and 6: in which order the candidates are tried.

Those of the model itself come before its stand-ins, and of each the endpoints that are ready before those
that rest; among these load, weight and the beginning of the conversation decide (gateway.state.load).
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import groupby
from typing import Any

from gateway.calls import Call
from gateway.state.breaker import Breaker
from gateway.state.load import Load
from models_registry.routes import Candidate

MAX_ATTEMPTS = 6  # of one call
MAX_STAND_INS = 3  # of these, if the model has more endpoints than are left
# Two conversations under one long system prompt begin alike, two under a short one do not: about 1,000
# tokens, a few dozen blocks of a server's cache.
BEGINNING_BYTES = 4_096
MAX_MESSAGES = 8  # looked at until the first of the user has come


def arrange(call: Call, breaker: Breaker, load: Load) -> None:
    """Put the candidates in order, and leave out those that are tried in no case."""
    if len(call.candidates) < 2:
        return
    own, *others = [list(group) for _id, group in groupby(call.candidates, _model_of)]
    beginning = find_beginning(call) if len(own) > 1 else None
    arranged = _arrange(call, own, breaker, load, beginning)
    stand_ins = [one for group in others for one in _arrange(call, group, breaker, load, beginning)]
    del stand_ins[MAX_STAND_INS:]
    call.candidates = [*arranged[: MAX_ATTEMPTS - len(stand_ins)], *stand_ins]


def _model_of(candidate: Candidate) -> Any:
    return candidate.route.model_id


def _arrange(
    call: Call, group: list[Candidate], breaker: Breaker, load: Load, beginning: int | None
) -> list[Candidate]:
    """Endpoints of one model. Weight 0 comes after all others that are ready."""
    if len(group) < 2:
        return group
    ready = [one for one in group if breaker.is_ready(call, one)]
    resting = [one for one in group if not breaker.is_ready(call, one)] if len(ready) < len(group) else []
    usual = [one for one in ready if one.target.weight]
    in_need = [one for one in ready if not one.target.weight]
    return [*load.arrange(usual, beginning), *in_need, *resting]


def find_beginning(call: Call) -> int | None:
    """What calls have in common that a server answers from the same memory: organisation, the caller's key of
    the cache, and how the conversation begins, up to its first question, so that all its turns agree. None
    for what is no conversation.
    """
    body = call.body
    if not isinstance(body.get("messages"), list):
        return None
    digest = blake2b(f"{call.principal.tenant}\0{body.get('prompt_cache_key') or ''}".encode(), digest_size=8)
    left = BEGINNING_BYTES
    for text in _texts(body):
        part = text[:left].encode("utf-8", "surrogatepass")[:left]
        digest.update(b"\0" + part)
        left -= len(part)
        if left <= 0:
            break
    return int.from_bytes(digest.digest())


def _texts(body: dict[str, Any]) -> Iterator[str]:
    for message in body["messages"][:MAX_MESSAGES]:
        if not isinstance(message, dict):
            return
        yield from _texts_of(message.get("content"))
        if message.get("role") == "user":
            return


def _texts_of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(text := part.get("text"), str):
                yield text
