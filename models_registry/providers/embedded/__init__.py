"""The embedded runtime: a server of the house, started beside it."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, EMBEDDINGS, LOCAL, OpenAICompatible
from models_registry.providers.openai_compatible.catalogue import Catalogue, read_catalogue
from models_registry.providers.openai_compatible.fields import LOGPROBS, PENALTIES, SOUND, list_asked


class Embedded(OpenAICompatible):
    """It shows and serves to a tenant what that tenant may see, so it is told who asks."""

    kind = "embedded"
    label = _("embedded runtime")
    location = Location.LOCAL
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions", EMBEDDINGS: "/embeddings"}
    timeouts = LOCAL
    knows_cache_salt = True
    packs_vectors = True
    purposes: Mapping[str, str] = {"query": "query", "passage": "passage"}
    has_other_tokens = True
    continues_answers = True
    gives_several_answers = False
    kept_formats = frozenset()
    refused_fields = LOGPROBS | SOUND

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name not in PENALTIES}

    def find_dropped(self, body: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
        return list_asked(body, PENALTIES)

    def read_catalogue(self, body: Any) -> Catalogue:
        return read_catalogue(body, heeds_channel=True)

    def tenant_headers(self, tenant: str) -> dict[str, str]:
        return {"X-Atrium-Tenant": tenant}
