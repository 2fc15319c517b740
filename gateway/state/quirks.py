"""What a server does not take, learnt from its refusals: it is asked without that from then on.

Covers: `stream_options`, which we add to every stream, `store: false`, which we add to what OpenAI is asked,
`encoding_format`, which we can do without, the two names of the answer's bound, and the bound itself where it
is ours: too high for the model, or without room for the prompt. Remembered by endpoint and model for as long
as the process lives; a restart learns anew, with one refused request. All tenants are asked that way: nothing
is learnt from what a caller wrote.
`cache_salt` is never left out: it keeps tenants apart.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from uuid import UUID

from gateway.answers.usage import TEMPLATE_TOKENS
from models_registry.providers.openai_compatible.errors import ProviderError
from models_registry.routes import Candidate

MAX_KNOWN = 10_000
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
UNKNOWN_FIELD = re.compile(
    r"un(supported|known|recogni[sz]ed|expected|permitted)|not (supported|permitted|allowed|recogni[sz]ed"
    r"|known|a valid|valid|expected|accepted|implemented)|extra[_ ](input|field|forbidden)|additional propert"
    r"|does ?n['o]t (support|know|accept|exist)|no such|invalid (parameter|argument|field|key|property)"
    r"|forbidden|unavailable|deprecated|been removed|use ['\"`“]?max_",
    re.IGNORECASE,
)
STREAM_OPTIONS = re.compile(r"stream_?options|include_usage", re.IGNORECASE)
STORE = re.compile(r"\bstore\b")
VALUE = re.compile(r"\bvalues?\b|too (large|high|big)|at most|exceed|larger|greater", re.IGNORECASE)
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
NUMBER = re.compile(r"\d{1,9}")
BOUND = re.compile(r"max_(completion_|new_|output_)?tokens|(completion|output) tokens", re.IGNORECASE)
WINDOW = re.compile(r"(?:context (?:length|window|size)|<=|≤)[^0-9]{0,40}(\d{1,9})", re.IGNORECASE)
INPUT = re.compile(
    r"(\d{1,9}) (?:input tokens|in the (?:messages|prompt)"
    r"|tokens? (?:in|from) the (?:input|prompt|messages))",
    re.IGNORECASE,
)
LEAST_ROOM = 32  # tokens: an answer that could not be longer is no answer


@dataclass(frozen=True, slots=True)
class Quirk:
    """How a server wants to be asked, as far as it differs. An empty name: as its kind usually does."""

    takes_stream_options: bool = True
    takes_encoding_format: bool = True
    takes_store: bool = True
    token_limit_name: str = ""
    most_output: int = 0  # tokens of an answer
    window: int = 0  # tokens of prompt and answer together

    def longest_answer(self, limit: int, input_tokens: int) -> int:
        """A bound of ours, in tokens, as far as this server takes it for about so much input."""
        limit = min(limit, self.most_output or limit)
        room = self.window - input_tokens - TEMPLATE_TOKENS
        return min(limit, room) if self.window and room >= LEAST_ROOM else limit


USUAL = Quirk()


class Quirks:
    """Those of all servers that this process has asked."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, str], Quirk] = OrderedDict()

    def of(self, candidate: Candidate) -> Quirk:
        return self._known.get(_name(candidate), USUAL)

    def learn(self, candidate: Candidate, quirk: Quirk) -> None:
        """Once a request went through that way."""
        self._known[_name(candidate)] = quirk
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _name(candidate: Candidate) -> tuple[UUID, str]:
    return candidate.endpoint.id, candidate.upstream_name


def token_limit_name(candidate: Candidate, quirk: Quirk) -> str:
    """Under which name the answer's bound is sent: as learnt, as the connection says, as usual for the kind.
    Never as the caller wrote it: servers that know the other name alone leave the answer without a bound, and
    say nothing (Ollama, llama-cpp-python).
    """
    endpoint = candidate.endpoint
    return quirk.token_limit_name or endpoint.token_limit_name or endpoint.provider.token_limit_name


def without_refused(
    error: ProviderError,
    quirk: Quirk,
    limit_name: str,
    limit: int,
    *,
    adds_stream_options: bool,
    sends_encoding_format: bool,
    adds_store: bool,
) -> Quirk | None:
    """How to ask a server once more that refused a request; None if what we added is not to blame. A refusal
    that names the value of the bound is not about its name.
    """
    if sends_encoding_format and quirk.takes_encoding_format and error.names("encoding_format"):
        return replace(quirk, takes_encoding_format=False)
    if adds_stream_options and quirk.takes_stream_options and STREAM_OPTIONS.search(error.text):
        return replace(quirk, takes_stream_options=False)
    if adds_store and quirk.takes_store and STORE.search(error.text) and UNKNOWN_FIELD.search(error.text):
        return replace(quirk, takes_store=False)
    other = OTHER_NAME[limit_name]
    is_of_value = str(limit) in error.text or VALUE.search(error.text)
    if (
        quirk.token_limit_name != other
        and error.names(limit_name)
        and UNKNOWN_FIELD.search(error.text)
        and not is_of_value
    ):
        return replace(quirk, token_limit_name=other)
    return None


def with_smaller_bound(
    error: ProviderError, quirk: Quirk, limit: int, input_tokens: int
) -> tuple[Quirk | None, int]:
    """The same where a bound of ours (`limit`) is refused as too high, by itself or beside the prompt, and
    the tokens of the prompt, as the server counts them if it says; None if it names no bound that would do.
    """
    text = THOUSANDS.sub("", error.text)
    other = quirk
    if window := WINDOW.search(text):
        counted = INPUT.search(text)
        input_tokens = int(counted[1]) if counted else input_tokens
        other = replace(quirk, window=int(window[1]))
    elif BOUND.search(text):
        below = (number for found in NUMBER.findall(text) if 0 < (number := int(found)) < limit)
        other = replace(quirk, most_output=max(below, default=0))
    is_smaller = other.longest_answer(limit, input_tokens) < limit
    return (other if is_smaller else None), input_tokens
