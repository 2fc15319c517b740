"""A call in Anthropic's dialect for providers that speak OpenAI's: what they do not know is left out or put
in words they do. Texts in several blocks become one, since many servers know no others.

That a tool failed (`is_error`) becomes words on the way out, as it does in OpenAI's dialect
(gateway.steps.dispatch).

Left out: thoughts (none but Anthropic takes back what it has signed; those that want their own get them as
text), marks for its cache, how long to think (`output_config.effort` is said by `reasoning_effort`), whose
call it is; `top_k` where it would be refused.
"""

from collections.abc import Iterator
from typing import Any

from foundation.errors import InvalidInput
from foundation.told import gettext as _

OF_ANTHROPIC = ("thinking", "cache_control", "user")
OF_MESSAGES = frozenset({"thinking_blocks", "content_blocks", "cache_control"})
BETWEEN = "\n\n"


def as_plain(body: dict[str, Any], *, wants_thoughts: bool, takes_top_k: bool) -> dict[str, Any]:
    """The body, as it is left. `wants_thoughts`: the provider takes them back as text. Raises InvalidInput
    for what has no plain form.
    """
    left_out = OF_ANTHROPIC if takes_top_k else (*OF_ANTHROPIC, "top_k")
    body = {name: value for name, value in body.items() if name not in left_out}
    if body.get("reasoning_effort") == "max":
        body["reasoning_effort"] = "xhigh"
    if "tools" in body:
        body["tools"] = [{"type": "function", "function": tool["function"]} for tool in body["tools"]]
    messages = [_with_thoughts(one) for one in body["messages"]] if wants_thoughts else body["messages"]
    body["messages"] = list(_write_messages(messages))
    return body


def _with_thoughts(message: dict[str, Any]) -> dict[str, Any]:
    thoughts = "".join(block.get("thinking") or "" for block in message.get("thinking_blocks") or ())
    return {**message, "reasoning_content": thoughts} if thoughts else message


def _write_messages(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What tools gave is text alone; the pictures of a row of results follow as the user's."""
    pictures: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] != "tool" and pictures:
            yield {"role": "user", "content": pictures}
            pictures = []
        plain = {name: value for name, value in message.items() if name not in OF_MESSAGES}
        if isinstance(content := plain.get("content"), list):
            parts = [_write_part(part) for part in content]
            if message["role"] == "tool":
                pictures += [part for part in parts if part["type"] != "text"]
                parts = [part for part in parts if part["type"] == "text"]
            is_text = all(part["type"] == "text" for part in parts)
            plain["content"] = BETWEEN.join(part["text"] for part in parts) if is_text else parts
        if "tool_calls" in plain:
            plain["tool_calls"] = [
                {"id": call["id"], "type": "function", "function": call["function"]}
                for call in plain["tool_calls"]
            ]
        yield plain
    if pictures:
        yield {"role": "user", "content": pictures}


def _write_part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "image_url":
        return {"type": kind, "image_url": part["image_url"]}
    if kind == "document":
        return _write_document(part)
    if kind == "search_result":
        texts = [part["title"], part["source"], *_texts_of(part["content"])]
        return {"type": "text", "text": "\n".join(texts)}
    if kind == "tool_reference":  # of a search among tools, all of which this model was told
        return {"type": "text", "text": f"Tool: {part['tool_name']}"}
    return {"type": "text", "text": part["text"]}


def _write_document(part: dict[str, Any]) -> dict[str, Any]:
    source, title = part["source"], part.get("title")
    title = title if isinstance(title, str) else ""
    if source["type"] == "base64":
        file = {
            "filename": title or "document.pdf",
            "file_data": f"data:application/pdf;base64,{source['data']}",
        }
        return {"type": "file", "file": file}
    if source["type"] == "text":
        return {"type": "text", "text": "\n".join(text for text in (title, source["data"]) if text)}
    texts = _texts_of(source["content"]) if source["type"] == "content" else []
    if not texts:
        raise InvalidInput(
            _("This model reads documents only where they stand in the request, as PDF or as text."),
            code="invalid_value",
            param="messages",
        )
    return {"type": "text", "text": "\n".join([title, *texts] if title else texts)}


def _texts_of(content: Any) -> list[str]:
    """Those of texts alone; none where anything else stands there."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content] if all(part["type"] == "text" for part in content) else []
