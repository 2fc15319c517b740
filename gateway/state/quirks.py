"""What a server does not take, learnt from its refusals: it is asked without that from then on.

Covers: `stream_options`, which we add to every stream, and the two names of the answer's bound. Remembered by
endpoint and model for as long as the process lives; a restart learns anew, with one refused request.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from uuid import UUID

from models_registry.providers.openai_compatible.errors import ProviderError
from models_registry.routes import Candidate

MAX_KNOWN = 10_000
OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
UNKNOWN_FIELD = re.compile(
    r"un(supported|known|recogni[sz]ed|expected|permitted)|not (supported|permitted|allowed|recogni[sz]ed"
    r"|known|a valid|valid|expected|accepted|implemented)|extra[_ ](input|field|forbidden)|additional propert"
    r"|does ?n['o]t (support|know|accept|exist)|no such|invalid (parameter|argument|field|key|property)"
    r"|forbidden|unavailable|deprecated|use ['\"`“]?max_",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quirk:
    """How a server wants to be asked, as far as it differs. An empty name: as its kind usually does."""

    takes_stream_options: bool = True
    token_limit_name: str = ""


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


def token_limit_name(candidate: Candidate, quirk: Quirk, asked: str) -> str:
    """Under which name the answer's bound is sent: as learnt, as the connection says, as the caller wrote it
    (`asked`, or ""), as usual for the kind.
    """
    endpoint = candidate.endpoint
    usual = endpoint.provider.token_limit_name
    if usual == "max_tokens" and asked:
        usual = asked
    return quirk.token_limit_name or endpoint.token_limit_name or usual


def without_refused(error: ProviderError, quirk: Quirk, limit_name: str, *, streams: bool) -> Quirk | None:
    """How to ask a server once more that refused a request; None if what we added is not to blame."""
    if streams and quirk.takes_stream_options and error.names("stream_options"):
        return replace(quirk, takes_stream_options=False)
    other = OTHER_NAME[limit_name]
    if quirk.token_limit_name != other and error.names(limit_name) and UNKNOWN_FIELD.search(error.text):
        return replace(quirk, token_limit_name=other)
    return None
