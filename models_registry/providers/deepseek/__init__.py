"""DeepSeek."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, OpenAICompatible
from models_registry.providers.openai_compatible.thinking import OFF, lacks_thoughts, with_thinking


class DeepSeek(OpenAICompatible):
    """While a model thinks, it refuses calls of tools in the history that come without what was thought
    before them. Most clients keep no thoughts; for these the model answers without thinking.
    """

    kind = "deepseek"
    label = "DeepSeek"
    base_url = "https://api.deepseek.com/v1"
    location = Location.OTHER
    key_variable = "DEEPSEEK_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions"}
    gives_several_answers = False
    wants_thoughts = True

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation != CHAT_COMPLETIONS:
            return body
        written = with_thinking(body)
        if any(lacks_thoughts(message) for message in body["messages"]):
            written.setdefault("thinking", OFF)
        return written
