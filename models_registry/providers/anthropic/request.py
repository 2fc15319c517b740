"""Messages of OpenAI's shape as Anthropic takes them: it refuses texts without a letter, and a begun answer
that ends in white space. Several messages of one role in a row it joins itself.
"""

from typing import Any

RESULTS = ("tool", "function")  # roles of what tools gave, which may be nothing


def write_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without what says nothing; those given stay as they are. An empty question in last place
    stays, to be refused: without it the answer before it would be gone on with.
    """
    *earlier, last = messages
    written = [one for message in earlier if (one := _write(message)) is not None]
    if (one := _write(last)) is not None:
        written.append(_without_last_space(one) if _is_text_of_assistant(one) else one)
    elif last["role"] != "assistant":
        written.append(last)
    return written or messages


def _write(message: dict[str, Any]) -> dict[str, Any] | None:
    """None for one that says nothing at all."""
    content = message.get("content")
    if isinstance(content, list):
        content = [part for part in content if not _is_blank(part)]
    if content and (isinstance(content, list) or content.strip()):
        return message if content == message["content"] else {**message, "content": content}
    if message["role"] in RESULTS:
        return {**message, "content": ""}
    if not (message.get("tool_calls") or message.get("function_call")):
        return None
    return {name: value for name, value in message.items() if name != "content"}


def _is_blank(part: dict[str, Any]) -> bool:
    return part.get("type") == "text" and not part["text"].strip()


def _is_text_of_assistant(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" and "content" in message


def _without_last_space(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": content.rstrip()}
    *parts, last = content
    last = {**last, "text": last["text"].rstrip()} if last.get("type") == "text" else last
    return {**message, "content": [*parts, last]}
