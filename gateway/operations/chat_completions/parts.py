"""The pieces of a chat message in the forms in which servers write them, brought into OpenAI's."""

from typing import Any

MAX_DEPTH = 8
THOUGHTS = {"thinking", "thought", "reasoning", "reasoning_content", "reasoning_text"}  # types of parts
REASONING = ("reasoning_content", "reasoning", "thinking")
REASONING_NAMES = frozenset({*REASONING, "reasoning_details"})
TEXT_NAMES = ("text", "thinking", "reasoning", "content", "refusal", "value", "thought", "summary")
_WITH_TEXT = (str, list, dict)


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
        message["content"] = None if isinstance(content, bool) else str(content)
        return True
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            is_thought = part.get("type") in THOUGHTS or part.get("thought") is True
            (thoughts if is_thought else texts).append(_text_of(part, 0))
        elif part is not None:
            raise ValueError("a part is a text or an object")
    message["content"] = "".join(texts) or None
    if thoughts:
        message["reasoning_content"] = (_as_text(message.get("reasoning_content"))) + "".join(thoughts)
    return True


def _text_of(value: Any, depth: int) -> str:
    """The text of a part; Mistral's thoughts are a list of parts themselves."""
    if depth > MAX_DEPTH:
        raise ValueError("parts are not that deep")
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text_of(piece, depth + 1) for piece in value)
    if isinstance(value, dict):
        inner = next((value[name] for name in TEXT_NAMES if isinstance(value.get(name), _WITH_TEXT)), "")
        return _text_of(inner, depth + 1)
    return ""


def read_reasoning(message: dict[str, Any]) -> bool:
    """Turn reasoning that is no text into text, in place; whether anything was changed. OpenRouter's details
    stay (it wants them back), and are told as text where nothing else tells them. Raises ValueError.
    """
    is_changed = False
    if REASONING_NAMES.isdisjoint(message):
        return False
    for name in REASONING:
        if isinstance(given := message.get(name), dict | list):
            message[name] = _text_of(given, 0) or None
            is_changed = True
    details = message.get("reasoning_details")
    if isinstance(details, dict | list) and not find_reasoning(message) and (text := _text_of(details, 0)):
        message["reasoning_content"] = text
        is_changed = True
    return is_changed


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def find_reasoning(message: dict[str, Any]) -> str:
    """What the model thought: vLLM and DeepSeek call it the one, OpenRouter and Ollama the others."""
    for name in REASONING:
        if isinstance(text := message.get(name), str) and text:
            return text
    return ""
