"""vLLM, wherever an operator runs it."""

from typing import Any

from models_registry.providers.openai_compatible import ALL_FORMATS, CHAT_COMPLETIONS, LOCAL, OpenAICompatible


class VLLM(OpenAICompatible):
    kind = "vllm"
    label = "vLLM"
    timeouts = LOCAL
    knows_cache_salt = True
    packs_vectors = True
    continues_answers = True
    kept_formats = ALL_FORMATS

    def write_body(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """It begins another message after the assistant's last one, unless it is told to go on."""
        if operation != CHAT_COMPLETIONS or "add_generation_prompt" in body or not _ends_unfinished(body):
            return body
        return {"continue_final_message": True, "add_generation_prompt": False, **body}


def _ends_unfinished(body: dict[str, Any]) -> bool:
    last = body["messages"][-1]
    return last.get("role") == "assistant" and bool(last.get("content")) and not last.get("tool_calls")
