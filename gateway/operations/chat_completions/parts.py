"""The pieces of a chat message in the forms in which servers write them, brought into OpenAI's."""

from typing import Any

MAX_DEPTH = 4


def split_content(message: dict[str, Any]) -> bool:
    """Turn content that is a list of parts into text and `reasoning_content`, in place (Mistral sends parts
    while a model thinks). Whether anything was changed. Raises ValueError for parts that are none.
    """
    content = message.get("content")
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        if content is None or isinstance(content, str):
            return False
        message["content"] = None
        return True
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            is_thought = part.get("type") in ("thinking", "reasoning", "reasoning_content")
            (thoughts if is_thought else texts).append(_text_of(part, 0))
        else:
            raise ValueError("a part is a text or an object")
    message["content"] = "".join(texts) or None
    if thoughts:
        message["reasoning_content"] = (_as_text(message.get("reasoning_content"))) + "".join(thoughts)
    return True


def _text_of(part: dict[str, Any], depth: int) -> str:
    """The text of a part; Mistral's thoughts are a list of parts themselves."""
    if depth > MAX_DEPTH:
        raise ValueError("parts are not that deep")
    for name in ("text", "thinking", "reasoning", "content", "refusal"):
        inner = part.get(name)
        if isinstance(inner, str):
            return inner
        if isinstance(inner, list):
            return "".join(_text_of(piece, depth + 1) for piece in inner if isinstance(piece, dict))
    return ""


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def find_reasoning(message: dict[str, Any]) -> str:
    """What the model thought: vLLM and DeepSeek call it the one, OpenRouter and Ollama the others."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(text := message.get(name), str) and text:
            return text
    return ""
