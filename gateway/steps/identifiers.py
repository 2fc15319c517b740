"""Names that a caller gives to what a provider keeps, made the tenant's own before they leave.

Guards against: two tenants behind one connection that meet in a provider's cache under the same
`prompt_cache_key`, where the time and the cached tokens of an answer tell what others asked; a person whom
the provider blocks for what somebody of another tenant did under the same `user` or `safety_identifier`;
addresses and names of people in the account of the platform's operator.
Does not guard against: what a provider keeps of prompts that carry no such name.
"""

from typing import Any

import orjson
from django.utils.crypto import salted_hmac

from models_registry.routes import Candidate

CACHE_KEY = "prompt_cache_key"
PERSONS = ("user", "safety_identifier")  # the provider's word for whoever asks, in its account


def make_own(body: dict[str, Any], candidate: Candidate, tenant: str) -> None:
    """Rewrite these names in the body of a request, in place. A cache's key goes only where it is known;
    persons keep their names in the tenant's own account.
    """
    if not candidate.provider.knows_prompt_cache_key:
        body.pop(CACHE_KEY, None)
    names = (CACHE_KEY, *PERSONS) if candidate.endpoint.origin == "platform" else (CACHE_KEY,)
    for name in names:
        if body.get(name) is not None:
            body[name] = own_name(name, body[name], tenant)


def own_name(name: str, value: Any, tenant: str) -> str:
    """The same for the same tenant and value: 64 characters, as many as OpenAI takes. Nobody can make it up
    who lacks our secret.
    """
    return salted_hmac(f"gateway.{name}", orjson.dumps([tenant, value]), algorithm="sha256").hexdigest()
