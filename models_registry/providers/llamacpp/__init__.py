"""llama.cpp's own server, on this machine or wherever an operator runs it."""

import re
from dataclasses import replace
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import ALL_FORMATS, CHAT_COMPLETIONS, LOCAL, OpenAICompatible
from models_registry.providers.openai_compatible.catalogue import (
    Catalogue,
    ListedModel,
    read_catalogue,
    read_count,
)

OWNER = "llamacpp"  # of each model in its list
VERSION = "/v1"
FILE = re.compile(r"([^/\\]+)\.gguf\Z")


class LlamaCpp(OpenAICompatible):
    """It lists its model while that still loads; whether it answers, and how long a conversation may be (the
    list tells only what the model was trained for), it says at addresses of its own.
    """

    kind = "llamacpp"
    label = "llama.cpp"
    base_url = "http://127.0.0.1:8080/v1"
    location = Location.LOCAL
    is_found_locally = True
    timeouts = LOCAL
    has_other_tokens = True
    kept_formats = ALL_FORMATS

    def health_url(self, base_url: str) -> str:
        return f"{base_url.removesuffix(VERSION)}/health"

    def details_url(self, base_url: str) -> str:
        return f"{base_url.removesuffix(VERSION)}/props"

    def read_catalogue(self, body: Any) -> Catalogue:
        """A model without an alias is called by the path of its file, and answers to any name."""
        found = read_catalogue(body)
        return replace(found, models=[_by_its_file(model) for model in found.models])

    def read_details(self, model: ListedModel, body: Any) -> ListedModel:
        settings = body.get("default_generation_settings") if isinstance(body, dict) else None
        window = read_count(settings.get("n_ctx")) if isinstance(settings, dict) else None
        return replace(model, context_window=window or model.context_window)

    def is_listed_by(self, body: Any) -> bool:
        """Much else listens at its port, also servers that speak OpenAI's API."""
        listed = body.get("data") if isinstance(body, dict) else None
        entries = listed if isinstance(listed, list) else []
        return any(isinstance(entry, dict) and entry.get("owned_by") == OWNER for entry in entries)

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Its documentation and its code look for the schema in two places."""
        form = body.get("response_format")
        if operation != CHAT_COMPLETIONS or not isinstance(form, dict):
            return body
        named = form.get("json_schema")
        if not isinstance(named, dict) or "schema" not in named:
            return body
        return {**body, "response_format": {"schema": named["schema"], **form}}


def _by_its_file(model: ListedModel) -> ListedModel:
    file = FILE.search(model.name)
    return replace(model, name=file[1]) if file else model
