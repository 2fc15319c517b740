"""Ollama on this machine."""

from collections.abc import Mapping

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import (
    ALL_FORMATS,
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    LOCAL,
    OpenAICompatible,
)
from models_registry.providers.openai_compatible.fields import SOUND


class Ollama(OpenAICompatible):
    kind = "ollama"
    label = "Ollama"
    base_url = "http://127.0.0.1:11434/v1"
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/chat/completions",
        COMPLETIONS: "/completions",
        EMBEDDINGS: "/embeddings",
    }
    location = Location.LOCAL
    is_found_locally = True
    timeouts = LOCAL
    takes_tokens = False
    gives_several_answers = False
    kept_formats = ALL_FORMATS
    refused_fields = frozenset({"logit_bias"}) | SOUND
