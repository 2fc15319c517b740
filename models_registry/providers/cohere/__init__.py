"""Cohere, by its own API (version 2): events, whole answers, vectors, relevances and lists of models of its
own shape.
"""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location, ModelKind
from models_registry.providers.cohere.answer import read_answer, read_stream_event
from models_registry.providers.cohere.request import write_chat, write_embeddings, write_rerank
from models_registry.providers.openai_compatible import (
    ALL_FORMATS,
    CHAT_COMPLETIONS,
    EMBEDDINGS,
    RERANK,
    OpenAICompatible,
)
from models_registry.providers.openai_compatible.catalogue import Catalogue, guess_kind, read_catalogue
from models_registry.providers.openai_compatible.fields import LOGPROBS, SOUND

VERSION = "/v2"  # at the end of its base address
KIND_BY_ENDPOINT = {
    "chat": ModelKind.CHAT,
    "embed": ModelKind.EMBEDDING,
    "rerank": ModelKind.RERANK,
}


class Cohere(OpenAICompatible):
    kind = "cohere"
    label = "Cohere"
    base_url = f"https://api.cohere.com{VERSION}"
    location = Location.OTHER  # a Canadian company, which does not say where its usual address computes
    key_variable = "COHERE_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat", EMBEDDINGS: "/embed", RERANK: "/rerank"}
    catalogue_path = "/v1/models?page_size=1000"
    has_own_events = True
    takes_tokens = False
    most_texts = 96
    purposes: Mapping[str, str] = {"query": "search_query", "passage": "search_document"}
    gives_several_answers = False
    cuts_documents = True
    kept_formats = ALL_FORMATS
    refused_fields = LOGPROBS | SOUND

    def catalogue_url(self, base_url: str) -> str:
        """Models are listed by version 1 alone."""
        return f"{base_url.removesuffix(VERSION)}{self.catalogue_path}"

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        writers = {CHAT_COMPLETIONS: write_chat, EMBEDDINGS: write_embeddings, RERANK: write_rerank}
        return writers[operation](body) if operation in writers else body

    def read_event(self, event: dict[str, Any]) -> dict[str, Any]:
        return read_stream_event(event) if "type" in event else read_answer(event)

    def read_catalogue(self, body: Any) -> Catalogue:
        listed = body.get("models") if isinstance(body, dict) else None
        entries = [_name(entry) for entry in listed] if isinstance(listed, list) else None
        return read_catalogue({"data": entries}, find_kind=_find_kind)


def _name(entry: Any) -> Any:
    return {**entry, "id": entry.get("name")} if isinstance(entry, dict) else None


def _find_kind(entry: dict[str, Any], name: str) -> ModelKind | None:
    """By the endpoints that take it; the name tells where none are listed."""
    endpoints = entry.get("endpoints")
    if not isinstance(endpoints, list) or not endpoints:
        return guess_kind(name)
    return next((kind for endpoint, kind in KIND_BY_ENDPOINT.items() if endpoint in endpoints), None)
