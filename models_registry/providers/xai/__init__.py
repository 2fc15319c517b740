"""xAI, whose models are called Grok."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import (
    ALL_FORMATS,
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    OpenAICompatible,
)

# Models that think refuse these, also where they ask for nothing: many clients send penalties of 0.
REFUSED_WITHOUT_SENSE = frozenset({"presence_penalty", "frequency_penalty", "stop", "logit_bias"})


class XAI(OpenAICompatible):
    kind = "xai"
    label = "xAI"
    base_url = "https://api.x.ai/v1"
    location = Location.US
    key_variable = "XAI_API_KEY"
    paths: Mapping[str, str] = {
        CHAT_COMPLETIONS: "/chat/completions",
        COMPLETIONS: "/completions",
        EMBEDDINGS: "/embeddings",
    }
    catalogue_path = "/language-models"  # `/models` holds those that draw and film, and says not which
    has_other_tokens = True
    kept_formats = ALL_FORMATS

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if value or name not in REFUSED_WITHOUT_SENSE}
