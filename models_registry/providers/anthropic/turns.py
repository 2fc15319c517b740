"""Messages of OpenAI's shape as Anthropic's turns. What nothing can be made of is a 400 that names the place.

Anthropic refuses texts without a letter, and a begun answer that ends in white space; what tools gave belongs
into one turn of the user's. Several other messages of one role in a row it joins itself.
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import orjson

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from models_registry.providers.anthropic.images import type_of

Block = dict[str, Any]
RESULTS = ("tool", "function")  # roles of what tools gave, which may be nothing
INSTRUCTIONS = ("system", "developer")
ASSISTANT = "assistant"
THOUGHTS = {"thinking": "signature", "redacted_thinking": "data"}  # and what each must have
ANSWERED = frozenset({*THOUGHTS, "text", "tool_use"})  # blocks of answers that come back
# Anthropic's, by clients of its dialect
OWN_PARTS = frozenset({"image", "document", "search_result", "tool_reference"})
SOURCES = ("base64", "text", "content", "url")  # and no files by id, of an account that others share
_NOT_OF_IDS = re.compile(r"[^A-Za-z0-9_-]")
_DATA_URL = re.compile(r"data:(?P<type>[\w.+/-]{1,100})(?:;[\w=.-]{1,60})*;base64,", re.IGNORECASE)


def write_turns(messages: list[dict[str, Any]]) -> tuple[list[Block], list[dict[str, Any]]]:
    """What stands in `system`, and the turns, without what says nothing; those given stay as they are. An
    empty question in last place stays, to be refused: without it the answer before it would be gone on with.
    Raises InvalidInput.
    """
    writer = _Writer()
    for place, message in enumerate(messages):
        writer.add(message, f"messages[{place}]")
    turns, is_question = writer.turns, messages[-1]["role"] not in (ASSISTANT, *INSTRUCTIONS)
    if not turns or (is_question and not writer.has_said_last):
        turns.append({"role": "user", "content": ""})
    if turns[-1]["role"] == ASSISTANT:
        turns[-1] = _without_last_space(turns[-1])
    return writer.system, turns


def _without_last_space(turn: dict[str, Any]) -> dict[str, Any]:
    content = turn["content"]
    if isinstance(content, str):
        return {**turn, "content": content.rstrip()}
    *blocks, last = content
    last = {**last, "text": last["text"].rstrip()} if last.get("type") == "text" else last
    return {**turn, "content": [*blocks, last]}


class _Writer:
    """The turns of one request, in their order."""

    def __init__(self) -> None:
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.has_said_last = False  # the last message said something
        self._takes_results = False  # the last turn holds what tools gave
        self._function_id = ""  # of the last call of the kind before tools, which had none

    def add(self, message: dict[str, Any], name: str) -> None:
        role = message["role"]
        self.has_said_last = True
        if role in RESULTS:
            self._add_result(_write_result(message, self._function_id, name))
            return
        if role in INSTRUCTIONS:
            self.system += _write_content(message, name)
            return
        if isinstance(message.get("function_call"), dict):
            self._function_id = f"function_{len(self.turns)}"
        content = self._content_of(message, name)
        self.has_said_last = bool(content)
        if content:
            self._takes_results = False
            self.turns.append({"role": role, "content": content})

    def _add_result(self, result: Block) -> None:
        if self._takes_results:
            self.turns[-1]["content"].append(result)
        else:
            self.turns.append({"role": "user", "content": [result]})
        self._takes_results = True

    def _content_of(self, message: dict[str, Any], name: str) -> str | list[Block]:
        content = message.get("content")
        if message["role"] != ASSISTANT:
            if isinstance(content, str) and "cache_control" not in message:
                return content if content.strip() else ""
            return _write_content(message, name)
        if isinstance(given := message.get("content_blocks"), list):
            kept = [block for block in given if isinstance(block, dict) and _kind_of(block) in ANSWERED]
            kept = [block for block in kept if _kind_of(block) not in THOUGHTS or _is_signed(block)]
            return [_with_mark(block, block) for block in kept if not _is_blank(block)]
        blocks = [*_write_thoughts(message.get("thinking_blocks")), *_write_content(message, name)]
        blocks += self._write_calls(message, name)
        if isinstance(content, str) and len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            return content
        return blocks

    def _write_calls(self, message: dict[str, Any], name: str) -> Iterable[Block]:
        for place, call in enumerate(message.get("tool_calls") or ()):
            yield _write_call(call, f"{name}.tool_calls[{place}]")
        if isinstance(function := message.get("function_call"), dict):
            yield _write_call({"id": self._function_id, "function": function}, f"{name}.function_call")


def refuse(name: str, reason: str) -> InvalidInput:
    """A part of the request that Anthropic cannot be asked."""
    return InvalidInput(
        _("“%(name)s” %(reason)s.") % {"name": name, "reason": reason}, code="invalid_value", param=name
    )


def _kind_of(block: Block) -> str:
    kind = block.get("type")
    return kind if isinstance(kind, str) else ""


def _is_signed(thought: Block) -> bool:
    signed = thought.get(THOUGHTS[_kind_of(thought)])
    return isinstance(signed, str) and signed != ""


def _write_thoughts(given: Any) -> list[Block]:
    """Those that Anthropic itself has signed: no other is taken back."""
    blocks = []
    for block in given if isinstance(given, list) else ():
        kind = _kind_of(block) if isinstance(block, dict) else ""
        signed = THOUGHTS.get(kind)
        if signed is None or not _is_signed(block):
            continue
        written = {"type": kind, signed: block[signed]}
        blocks.append({**written, "thinking": block.get("thinking") or ""} if kind == "thinking" else written)
    return blocks


def _write_call(call: Any, name: str) -> Block:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise refuse(name, _("must be a call of a function"))
    given = function.get("arguments")
    try:
        arguments = orjson.loads(given) if isinstance(given, str) and given.strip() else given or {}
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        where = f"{name}.function.arguments" if "tool_calls" in name else f"{name}.arguments"
        raise refuse(where, _("must be a JSON object, written as a string"))
    block = {"type": "tool_use", "id": _own_id(call.get("id")), "name": function["name"], "input": arguments}
    return _with_mark(block, call)


def _own_id(given: Any) -> str:
    """Of a call; other servers' hold characters that Anthropic refuses."""
    return _NOT_OF_IDS.sub("_", str(given or "call"))


def _write_result(message: dict[str, Any], function_id: str, name: str) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _own_id(message.get("tool_call_id") or function_id)}
    content = message.get("content")
    blocks = _write_content({"content": content}, name)
    if blocks:
        block["content"] = content if isinstance(content, str) else blocks
    if message.get("is_error") is True:
        block["is_error"] = True
    return _with_mark(block, message)


def _write_content(message: dict[str, Any], name: str) -> list[Block]:
    """The blocks of a message's content, without blank texts. A mark of the message's is its last one's."""
    content = message.get("content")
    if isinstance(content, str):
        blocks = [{"type": "text", "text": content}] if content.strip() else []
    else:
        parts = enumerate(content or ())
        blocks = [
            _write_part(part, f"{name}.content[{place}]") for place, part in parts if not _is_blank(part)
        ]
    if blocks and message.get("cache_control") is not None:
        blocks[-1] = _with_mark(blocks[-1], message)
    return blocks


def _is_blank(part: dict[str, Any]) -> bool:
    text = part.get("text")
    return part.get("type", "text") == "text" and not (isinstance(text, str) and text.strip())


def read_mark(source: dict[str, Any]) -> dict[str, Any] | None:
    """Of what is to be kept in Anthropic's cache, for the usual five minutes: an hour has another price."""
    mark = source.get("cache_control")
    return {name: mark[name] for name in mark if name != "ttl"} if isinstance(mark, dict) else None


def _with_mark(block: Block, source: dict[str, Any]) -> Block:
    mark = read_mark(source)
    return block if mark is None else {**block, "cache_control": mark}


def _write_own(part: Block, name: str) -> Block:
    """A part of Anthropic's own shape, and the marks of the blocks in it."""
    source = part.get("source")
    if isinstance(source, dict):
        if source.get("type") not in SOURCES:
            raise refuse(
                f"{name}.source.type", _("must be one of %(values)s") % {"values": ", ".join(SOURCES)}
            )
        part = {**part, "source": {**source, **_marked(source)}}
    return _with_mark(_as_typed({**part, **_marked(part)}), part)


def _marked(holder: Block) -> Block:
    content = holder.get("content")
    if not isinstance(content, list):
        return {}
    return {"content": [_with_mark(_as_typed(one), one) if isinstance(one, dict) else one for one in content]}


def _write_part(part: dict[str, Any], name: str) -> Block:
    kind = part.get("type", "text")
    if kind == "text":
        return _with_mark({"type": "text", "text": part["text"]}, part)
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal"))}
    if kind == "image_url":
        return _with_mark(_write_image(part.get("image_url"), f"{name}.image_url"), part)
    if kind == "file":
        return _with_mark(_write_file(part.get("file"), f"{name}.file"), part)
    if kind in OWN_PARTS:
        return _write_own(part, name)
    raise refuse(
        f"{name}.type", _("is “%(kind)s”, which this model does not take") % {"kind": str(kind)[:60]}
    )


def _write_image(given: Any, name: str) -> Block:
    url = given.get("url") if isinstance(given, dict) else given
    if isinstance(url, str) and url[:8].lower().startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, data = _split_data_url(url, f"{name}.url")
    return _as_typed({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}})


def _as_typed(block: Block) -> Block:
    """A picture whose bytes are of another type than it says."""
    source = block.get("source") if block.get("type") == "image" else None
    data = source.get("data") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(data, str):
        return block
    return {**block, "source": {**source, "media_type": type_of(data, str(source.get("media_type")))}}


def _split_data_url(url: Any, name: str) -> tuple[str, str]:
    found = _DATA_URL.match(url) if isinstance(url, str) else None
    if found is None:
        raise refuse(name, _("must be an address or a “data:” URL in base64"))
    return found["type"].lower(), url[found.end() :]


def _write_file(file: Any, name: str) -> Block:
    if not isinstance(file, dict) or not isinstance(file.get("file_data"), str):
        raise refuse(f"{name}.file_data", _("is missing: no other files are read than those in the request"))
    media_type, data = _split_data_url(file["file_data"], f"{name}.file_data")
    source = {"type": "base64", "media_type": media_type, "data": data}
    if media_type.startswith("text/"):
        try:
            source = {"type": "text", "media_type": "text/plain", "data": b64decode(data).decode()}
        except ValueError:
            raise refuse(f"{name}.file_data", _("is no text in UTF-8 and base64")) from None
    block: Block = {"type": "document", "source": source}
    if isinstance(title := file.get("filename"), str) and title:
        block["title"] = title
    return block
