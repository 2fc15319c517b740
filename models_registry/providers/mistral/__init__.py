"""Mistral AI."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location, ModelKind
from models_registry.providers.openai_compatible import (
    ALL_FORMATS,
    CHAT_COMPLETIONS,
    EMBEDDINGS,
    OpenAICompatible,
    messages_without,
)
from models_registry.providers.openai_compatible.catalogue import Catalogue, guess_kind, read_catalogue
from models_registry.providers.openai_compatible.fields import LOGPROBS, SOUND

OURS_TO_THEIRS = {
    "max_completion_tokens": "max_tokens",
    "seed": "random_seed",
    "dimensions": "output_dimension",
}
# It refuses every field that it does not know. These change nothing of the answer; usage comes unasked.
UNKNOWN = frozenset({"stream_options", "user", "safety_identifier", "store", "service_tier"})
UNKNOWN_OF_MESSAGES = frozenset({"refusal", "annotations", "reasoning_content", "reasoning"})


class Mistral(OpenAICompatible):
    """Fields of OpenAI's under other names; a catalogue that says what a model can do."""

    kind = "mistral"
    label = "Mistral AI"
    base_url = "https://api.mistral.ai/v1"
    location = Location.EU
    key_variable = "MISTRAL_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions", EMBEDDINGS: "/embeddings"}
    continues_answers = True
    knows_prompt_cache_key = True
    takes_tokens = False
    takes_top_k = False
    most_texts = 512
    kept_formats = ALL_FORMATS
    refused_fields = LOGPROBS | SOUND
    vouches_for_strict = True

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        written = {
            OURS_TO_THEIRS.get(name, name): value for name, value in body.items() if name not in UNKNOWN
        }
        if operation == EMBEDDINGS:
            # base64 of other numbers than 32-bit floats (`output_dtype`) is nothing that our clients read
            return written | {"encoding_format": "float"}
        if operation == CHAT_COMPLETIONS:
            *earlier, last = messages_without(body["messages"], UNKNOWN_OF_MESSAGES)
            # without it, a last message of the assistant's is refused
            is_begun = last.get("role") == "assistant"
            written["messages"] = [*earlier, {"prefix": True, **last} if is_begun else last]
        return written

    def read_catalogue(self, body: Any) -> Catalogue:
        return read_catalogue(body, find_kind=_find_kind)


def _find_kind(entry: dict[str, Any], name: str) -> ModelKind | None:
    """As the name says; what would be for chats only if it can chat (`mistral-ocr-latest` cannot)."""
    kind, capabilities = guess_kind(name), entry.get("capabilities")
    if kind != ModelKind.CHAT or not isinstance(capabilities, dict):
        return kind
    if capabilities.get("completion_chat") is not False:
        return kind
    if capabilities.get("audio_transcription") is True:
        return ModelKind.TRANSCRIPTION
    return ModelKind.SPEECH if capabilities.get("audio_speech") is True else None
