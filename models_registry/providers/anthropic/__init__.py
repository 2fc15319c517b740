"""Anthropic, through its door for OpenAI's clients."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.anthropic.request import write_messages
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, EMBEDDINGS, OpenAICompatible
from models_registry.providers.openai_compatible.catalogue import find_next_page
from tenants.sealing import Secret

VERSION = "2023-06-01"


class Anthropic(OpenAICompatible):
    """Its catalogue wants `x-api-key` and a version; its door for OpenAI's clients a bearer."""

    kind = "anthropic"
    label = "Anthropic"
    base_url = "https://api.anthropic.com/v1"
    location = Location.US
    key_variable = "ANTHROPIC_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions", EMBEDDINGS: "/embeddings"}
    catalogue_path = "/models?limit=1000"
    gives_several_answers = False
    kept_formats = frozenset()

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation != CHAT_COMPLETIONS:
            return body
        return {**body, "messages": write_messages(body["messages"])}

    def find_next_page(self, body: Any) -> str:
        return find_next_page(body, "after_id")

    def catalogue_headers(self, secret: Secret | None) -> dict[str, str]:
        return {"x-api-key": secret.reveal(), "anthropic-version": VERSION} if secret else {}
