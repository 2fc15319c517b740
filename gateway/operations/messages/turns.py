"""Anthropic's turns as messages of OpenAI's form. What cannot be taken is a 400 that names the place."""

from collections.abc import Iterator
from typing import Any

from foundation.told import gettext as _
from gateway.answers.json_text import write_json
from gateway.operations.body import MAX_PLACE, wrong
from gateway.operations.chat_completions.media import (
    ADDRESSES,
    check_address,
    check_addresses,
    decode,
    is_image,
    is_pdf,
)
from models_registry.providers.anthropic.answer import ORDER

Part = dict[str, Any]
ROLES = ("user", "assistant", "system")
OF_USERS = frozenset({"text", "image", "document", "search_result", "tool_result", "mid_conv_system"})
OF_ANSWERS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
OF_RESULTS = frozenset({"text", "image", "document", "search_result", "tool_reference"})
TEXT = frozenset({"text"})
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
FIELDS = {  # of each kind of block: those that must be there, and are texts
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
    "search_result": ("source", "title"),
    "tool_reference": ("tool_name",),
}


def read_system(given: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands in `system`, as a message of its own. Raises InvalidInput."""
    system = given.get("system")
    if system is None or system in ("", []):
        return []
    return [{"role": "system", "content": _read_content(system, "system", TEXT)}]


def read_turns(messages: list[Any]) -> Iterator[dict[str, Any]]:
    """Raises InvalidInput."""
    for place, message in enumerate(messages):
        name = f"messages[{place}]"
        if not isinstance(message, dict):
            raise wrong(name, _("must be an object"), "invalid_type")
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in ROLES:
            raise wrong(f"{name}.role", _("must be one of %(roles)s") % {"roles": ", ".join(ROLES)})
        if content is None:
            raise wrong(f"{name}.content", _("is missing"), "missing_required_parameter")
        allowed = {"user": OF_USERS, "assistant": OF_ANSWERS, "system": TEXT}[role]
        blocks = _read_content(content, f"{name}.content", allowed)
        if isinstance(blocks, str) or role == "system":
            yield {"role": role, "content": blocks}
        elif role == "assistant":
            yield _as_answer(blocks)
        else:
            yield from _as_question(blocks)


def _read_content(content: Any, name: str, allowed: frozenset[str]) -> str | list[Part]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise wrong(name, _("must be a string or an array of blocks"), "invalid_type")
    blocks = [_read_block(block, f"{name}[{place}]", allowed) for place, block in enumerate(content)]
    check_addresses(content, name)  # in fields that are of no concern here, too
    return blocks


def _read_block(block: Any, name: str, allowed: frozenset[str]) -> Part:
    """A block as it is, but for images, which OpenAI knows too."""
    if not isinstance(block, dict):
        raise wrong(name, _("must be an object"), "invalid_type")
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        values = {"kind": str(kind)[:MAX_PLACE], "values": ", ".join(sorted(allowed))}
        raise wrong(f"{name}.type", _("is “%(kind)s”, and must be one of %(values)s") % values)
    for field in FIELDS.get(kind, ()):
        if not isinstance(block.get(field), str):
            raise wrong(f"{name}.{field}", _("must be a string"), "invalid_type")
    if block.get("cache_control") is not None and not isinstance(block["cache_control"], dict):
        raise wrong(f"{name}.cache_control", _("must be an object"), "invalid_type")
    if kind == "tool_use" and not isinstance(block.get("input"), dict):
        raise wrong(f"{name}.input", _("must be an object"), "invalid_type")
    if kind == "image":
        return _with_mark({"type": "image_url", "image_url": {"url": _read_image(block, name)}}, block)
    if kind == "document":
        _check_document(block, name)
    elif kind in ("search_result", "mid_conv_system"):
        return {**block, "content": _read_content(block.get("content"), f"{name}.content", TEXT)}
    elif kind == "tool_result":
        return _read_result(block, name)
    return block


def _with_mark(part: Part, block: Part) -> Part:
    return {**part, "cache_control": block["cache_control"]} if block.get("cache_control") else part


def _read_result(block: Part, name: str) -> Part:
    if type(block.get("is_error", False)) is not bool:
        raise wrong(f"{name}.is_error", _("must be true or false"), "invalid_type")
    content = block.get("content")
    content = "" if content is None else _read_content(content, f"{name}.content", OF_RESULTS)
    return {**block, "content": content}


def _source_of(block: Part, name: str) -> Part:
    source = block.get("source")
    if not isinstance(source, dict):
        raise wrong(f"{name}.source", _("must be an object"), "invalid_type")
    return source


def _read_image(block: Part, name: str) -> str:
    """Its address, or the image itself as one."""
    source = _source_of(block, name)
    if source.get("type") == "url":
        return _read_url(source, name)
    if source.get("type") != "base64":
        raise wrong(f"{name}.source.type", _("must be one of %(values)s") % {"values": "base64, url"})
    kind, data = source.get("media_type"), source.get("data")
    if kind not in IMAGES:
        raise wrong(
            f"{name}.source.media_type", _("must be one of %(values)s") % {"values": ", ".join(IMAGES)}
        )
    if not isinstance(data, str) or not is_image(decode(data, f"{name}.source.data")):
        raise wrong(f"{name}.source.data", _("is no image in base64"))
    return f"data:{kind};base64,{data}"


def _read_url(source: Part, name: str) -> str:
    url = source.get("url")
    if not isinstance(url, str) or not url[:8].lower().startswith(ADDRESSES):
        raise wrong(f"{name}.source.url", _("must be an address that begins with http:// or https://"))
    check_address(url, f"{name}.source.url")
    return url


def _check_document(block: Part, name: str) -> None:
    source = _source_of(block, name)
    kind, data = source.get("type"), source.get("data")
    if kind == "base64":
        if not isinstance(data, str) or not is_pdf(decode(data, f"{name}.source.data")):
            raise wrong(f"{name}.source.data", _("is no PDF in base64"))
    elif kind == "text":
        if not isinstance(data, str):
            raise wrong(f"{name}.source.data", _("must be a string"), "invalid_type")
    elif kind == "url":
        _read_url(source, name)
    elif kind == "content":
        _read_content(source.get("content"), f"{name}.source.content", frozenset({"text", "image"}))
    else:
        values = {"values": "base64, text, content, url"}
        raise wrong(f"{name}.source.type", _("must be one of %(values)s") % values)


def _as_answer(blocks: list[Part]) -> dict[str, Any]:
    texts = [block for block in blocks if block["type"] == "text"]
    message: dict[str, Any] = {"role": "assistant", "content": texts or None}
    if thoughts := [block for block in blocks if ORDER[block["type"]] == 0]:
        message["thinking_blocks"] = thoughts
    if calls := [_as_call(block) for block in blocks if block["type"] == "tool_use"]:
        message["tool_calls"] = calls
    places = [ORDER[block["type"]] for block in blocks]
    if places != sorted(places):
        message["content_blocks"] = blocks
    return message


def _as_call(block: Part) -> Part:
    function = {"name": block["name"], "arguments": write_json(block["input"]).decode()}
    return _with_mark({"id": block["id"], "type": "function", "function": function}, block)


def _as_question(blocks: list[Part]) -> Iterator[dict[str, Any]]:
    """What tools gave comes first, each in a message of its own."""
    rest = []
    for block in blocks:
        if block["type"] == "tool_result":
            result = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]}
            yield _with_mark({**result, "is_error": True} if block.get("is_error") else result, block)
        elif block["type"] != "mid_conv_system":
            rest.append(block)
    if rest or not blocks:
        yield {"role": "user", "content": rest}
    for block in blocks:
        if block["type"] == "mid_conv_system":
            yield _with_mark({"role": "system", "content": block["content"]}, block)
