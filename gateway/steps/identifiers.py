"""Names that a caller gives to what a provider keeps, made the tenant's own before they leave.

Guards against: two tenants behind one connection that meet in a provider's cache under the same
`prompt_cache_key`, or in the memory of a server of ours, where the time and the cached tokens of an answer
tell what others asked; a person whom the provider blocks for what somebody of another tenant did under the
same `user` or `safety_identifier`; addresses and names of people, and what callers note of their calls
(`metadata`), in the account of the platform's operator.
Does not guard against: what a provider keeps of prompts that carry no such name.
"""

from functools import lru_cache
from typing import Any

import orjson
from django.utils.crypto import salted_hmac

from models_registry.routes import Candidate

CACHE_KEY = "prompt_cache_key"
NOTES = "metadata"
PERSONS = ("user", "safety_identifier")  # the provider's word for whoever asks, in its account


def make_own(body: dict[str, Any], candidate: Candidate, tenant: str) -> None:
    """Rewrite these names in the body of a request, in place. A cache's key goes only where it is known;
    persons and notes stay as they are in the tenant's own account.
    """
    is_shared = candidate.endpoint.origin == "platform"
    if candidate.provider.knows_cache_salt:
        body["cache_salt"] = cache_salt(tenant)
    if not candidate.provider.knows_prompt_cache_key:
        body.pop(CACHE_KEY, None)
    if is_shared:
        body.pop(NOTES, None)
    for name in (CACHE_KEY, *PERSONS) if is_shared else (CACHE_KEY,):
        if body.get(name) is not None:
            body[name] = own_name(name, body[name], tenant)


@lru_cache(maxsize=10_000)
def cache_salt(tenant: str) -> str:
    """What keeps a server's memory of one tenant's prompts apart from another's: else the time to the first
    token tells what others asked (vLLM's RFC 16016). Nobody can make it up who lacks our secret.
    """
    return salted_hmac("gateway.cache_salt", tenant, algorithm="sha256").hexdigest()


def own_name(name: str, value: Any, tenant: str) -> str:
    """The same for the same tenant and value, and as secret: 64 characters, as many as OpenAI takes."""
    return salted_hmac(f"gateway.{name}", orjson.dumps([tenant, value]), algorithm="sha256").hexdigest()
