"""Moonshot AI, whose models are called Kimi."""

from collections.abc import Mapping
from typing import Any

from models_registry.kinds import Location
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS, OpenAICompatible
from models_registry.providers.openai_compatible.thinking import lacks_thoughts, with_thinking

NO_THOUGHTS = " "  # an empty text is refused as well


class Moonshot(OpenAICompatible):
    """While a model thinks, it refuses calls of tools in the history that come without what was thought
    before them, and some of its models cannot but think.
    """

    kind = "moonshot"
    label = "Moonshot AI (Kimi)"
    base_url = "https://api.moonshot.ai/v1"
    location = Location.OTHER
    key_variable = "MOONSHOT_API_KEY"
    paths: Mapping[str, str] = {CHAT_COMPLETIONS: "/chat/completions"}
    continues_answers = True
    wants_thoughts = True

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation != CHAT_COMPLETIONS:
            return body
        *earlier, last = [_with_thoughts(message) for message in body["messages"]]
        if last.get("role") == "assistant" and not last.get("tool_calls"):
            last = {"partial": True, **last}  # else it is answered
        return {**with_thinking(body), "messages": [*earlier, last]}


def _with_thoughts(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "reasoning_content": NO_THOUGHTS} if lacks_thoughts(message) else message
