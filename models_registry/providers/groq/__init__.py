"""Groq, which runs models of others on chips of its own."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, OpenAICompatible, messages_without
from models_registry.providers.openai_compatible.fields import LOGPROBS, SOUND

# It refuses every field that it does not know. These change nothing of the answer.
UNKNOWN = frozenset({"safety_identifier"})
UNKNOWN_OF_MESSAGES = frozenset(
    {"name", "refusal", "annotations", "reasoning_content", "reasoning", "reasoning_details"}
)


class Groq(OpenAICompatible):
    kind = "groq"
    label = "Groq"
    base_url = "https://api.groq.com/openai/v1"
    location = Location.OTHER  # an American company, which computes in several parts of the world
    key_variable = "GROQ_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions"}
    token_limit_name = "max_completion_tokens"  # noqa: S105
    gives_several_answers = False
    refused_fields = LOGPROBS | SOUND

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation != CHAT_COMPLETIONS:
            return body
        written = {name: value for name, value in body.items() if name not in UNKNOWN}
        written["messages"] = messages_without(body["messages"], UNKNOWN_OF_MESSAGES)
        return written
