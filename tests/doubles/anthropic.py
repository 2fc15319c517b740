"""Anthropic's Messages API as its published description and its official client's types show it: the bytes of
its answers, and what it refuses. Nobody has asked the vendor.
"""

import re

import orjson

KNOWN = {
    "model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences",
    "metadata", "tools", "tool_choice", "thinking", "output_config", "cache_control", "service_tier",
    "container", "inference_geo",
}  # fmt: skip
COUNTED = KNOWN - {"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata"}
BLOCKS = {
    "text": {"text", "cache_control", "citations"},
    "image": {"source", "cache_control"},
    "document": {"source", "title", "context", "citations", "cache_control"},
    "search_result": {"source", "title", "content", "citations", "cache_control"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "cache_control"},
    "tool_reference": {"tool_name", "cache_control"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
}
TOOL_FIELDS = {"name", "description", "input_schema", "cache_control", "strict", "type", "defer_loading"}
UNKNOWN_OF_SCHEMAS = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("maxItems", "uniqueItems", "minProperties", "maxProperties", "oneOf", "not", "if", "patternProperties"),
}
ID = re.compile(r"[a-zA-Z0-9_-]+")
UP_TO_4_6 = re.compile(r"claude-(3-\d|[a-z]+-4-(6|5|1|0|2\d{7}))")
BY_BUDGET = re.compile(r"claude-(3-7|[a-z]+-4-(5|1|0|2\d{7}))")
INPUT, WRITTEN, READ, OUTPUT = 17, 5, 30, 12
USAGE = (
    f'"usage":{{"input_tokens":{INPUT},"cache_creation_input_tokens":{WRITTEN},'
    f'"cache_read_input_tokens":{READ},"cache_creation":{{"ephemeral_5m_input_tokens":{WRITTEN},'
    '"ephemeral_1h_input_tokens":0},"service_tier":"standard",'
)
TEXT = 'Paris "à"'


def sent(kind: str, more: str = "", padding: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{more}{padding}}}\n\n'.encode()


def begun(index: int, block: str) -> bytes:
    return sent("content_block_start", f',"index":{index},"content_block":{block}', "   ")


def said(index: int, kind: str, name: str, text: str, padding: str = "") -> bytes:
    delta = f'{{"type":"{kind}","{name}":{orjson.dumps(text).decode()}}}'
    return sent("content_block_delta", f',"index":{index},"delta":{delta}', padding)


def text(index: int, piece: str, padding: str = "") -> bytes:
    return said(index, "text_delta", "text", piece, padding)


def stop(index: int) -> bytes:
    return sent("content_block_stop", f',"index":{index}')


def end(reason: str = "end_turn", sequence: str = "null") -> list[bytes]:
    delta = f',"delta":{{"stop_reason":"{reason}","stop_sequence":{sequence}}}'
    return [sent("message_delta", f'{delta},"usage":{{"output_tokens":{OUTPUT}}}'), sent("message_stop")]


START = sent(
    "message_start",
    ',"message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],'
    f'"model":"claude-sonnet-4-5-20250929","stop_reason":null,"stop_sequence":null,{USAGE}"output_tokens":3}}}}',
)
PING = sent("ping")
THOUGHT = [
    begun(0, '{"type":"thinking","thinking":"","signature":""}'),
    said(0, "thinking_delta", "thinking", "Hm, "),
    said(0, "thinking_delta", "thinking", "so."),
    said(0, "signature_delta", "signature", "EqQBCgIYAhIM"),
    stop(0),
]
SPOKEN = [
    begun(1, '{"type":"text","text":""}'),
    text(1, "Par"),
    text(1, "is", "      "),
    text(1, ' "à"', "  "),
    stop(1),
]
ANSWER = [START, PING, *THOUGHT, *SPOKEN, *end()]
TOOLS = [
    START,
    begun(0, '{"type":"text","text":""}'),
    text(0, "I will look."),
    stop(0),
    begun(1, '{"type":"tool_use","id":"toolu_01","name":"weather","input":{}}'),
    said(1, "input_json_delta", "partial_json", ""),
    said(1, "input_json_delta", "partial_json", '{"at": '),
    said(1, "input_json_delta", "partial_json", "1}"),
    stop(1),
    begun(2, '{"type":"tool_use","id":"toolu_02","name":"clock","input":{}}'),
    said(2, "input_json_delta", "partial_json", ""),
    stop(2),
    *end("tool_use"),
]


def whole(*blocks: dict, reason: str = "end_turn", sequence: str | None = None) -> bytes:
    message = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(blocks),
        "stop_reason": reason,
        "stop_sequence": sequence,
    }
    head = orjson.dumps(message)[:-1].decode()
    return f'{head},{USAGE}"output_tokens":{OUTPUT}}}}}'.encode()


THINKING = {"type": "thinking", "thinking": "Hm, so.", "signature": "EqQBCgIYAhIM"}
HIDDEN = {"type": "redacted_thinking", "data": "EmwKAhgB"}
WHOLE = whole(THINKING, HIDDEN, {"type": "text", "text": "Par"}, {"type": "text", "text": 'is "à"'})
CALL = {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"at": 1}}
WHOLE_TOOLS = whole({"type": "text", "text": "I will look."}, CALL, reason="tool_use")


def error(kind: str, message: str) -> bytes:
    told = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CSHoEeqs5"}
    return orjson.dumps(told)


def _refuse(body: dict, known: set[str]) -> str:
    for name in body.keys() - known:
        return f"{name}: Extra inputs are not permitted"
    for name in {"model", "messages", *(("max_tokens",) if "max_tokens" in known else ())} - body.keys():
        return f"{name}: Field required"
    for name in body.keys() & {"temperature", "top_p", "top_k"}:
        if not UP_TO_4_6.search(body["model"]):
            return f"`{name}` is deprecated for this model."
    if not 0 <= body.get("temperature", 1) <= 1:
        return "temperature: range: 0..1"
    if any(not one.strip() for one in body.get("stop_sequences", ())):
        return "stop_sequences: each stop sequence must contain non-whitespace"
    form = (body.get("output_config") or {}).get("format") or {}
    if wrong := _refuse_schema(form.get("schema")):
        return f"output_config.format.schema: {wrong}"
    wrong = _refuse_thinking(body) or _refuse_tools(body) or _refuse_messages(body["messages"])
    return wrong or _refuse_thoughtless(body)


def _refuse_schema(schema: object) -> str:
    if isinstance(schema, list):
        return next((wrong for one in schema if (wrong := _refuse_schema(one))), "")
    if not isinstance(schema, dict):
        return ""
    for name in UNKNOWN_OF_SCHEMAS & schema.keys():
        return f"For '{schema.get('type')}' type, property '{name}' is not supported"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    inner = [one for name in ("properties", "$defs") for one in schema.get(name, {}).values()]
    return _refuse_schema([*inner, schema.get("items"), *schema.get("anyOf", ())])


def _refuse_thinking(body: dict) -> str:
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        if not UP_TO_4_6.search(body["model"]):
            return "thinking.type: enabled is not supported by this model"
        if thinking["budget_tokens"] < 1024:
            return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if "max_tokens" in body and thinking["budget_tokens"] >= body["max_tokens"]:
            return "`max_tokens` must be greater than `thinking.budget_tokens`"
    if thinking.get("type") == "adaptive" and BY_BUDGET.search(body["model"]):
        return "adaptive thinking is not supported on this model"
    if thinking.get("type") in ("enabled", "adaptive"):
        if body.get("temperature", 1) != 1:
            return "`temperature` may only be set to 1 when thinking is enabled"
        if "top_k" in body:
            return "`top_k` must be unset when thinking is enabled"
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            return "Thinking may not be enabled when tool_choice forces tool use."
    return ""


def _refuse_thoughtless(body: dict) -> str:
    """Calls whose results are there, and before which no thought stands, though thoughts are asked for."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return ""
    begins = ""
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text"}]
        if message["role"] == "assistant":
            begins = begins or blocks[0]["type"]
        elif not any(block["type"] == "tool_result" for block in blocks):
            begins = ""
    if begins in ("", "thinking", "redacted_thinking"):
        return ""
    return f"messages: Expected `thinking` or `redacted_thinking`, but found `{begins}`."


def _refuse_tools(body: dict) -> str:
    for place, tool in enumerate(body.get("tools", ())):
        if wrong := tool.keys() - TOOL_FIELDS:
            return f"tools.{place}.custom.{wrong.pop()}: Extra inputs are not permitted"
        if tool.get("strict") and (wrong := _refuse_schema(tool["input_schema"])):
            return f"tools.{place}.custom: {wrong}"
        if not tool.get("name") or tool["input_schema"].get("type") != "object":
            return f"tools.{place}.custom.input_schema.type: Field required"
    if body.get("tool_choice") and not body.get("tools"):
        return "tool_choice may only be specified while providing tools"
    return ""


def _refuse_messages(messages: list[dict]) -> str:
    expected: set[str] = set()
    joined: list[dict] = []
    for place, message in enumerate(messages):
        if message.keys() - {"role", "content"} or message["role"] not in ("user", "assistant"):
            return f'messages: Unexpected role or field at {place}: "{message.get("role")}"'
        blocks = message["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        if not blocks:
            return f"messages.{place}: all messages must have non-empty content"
        for block in blocks:
            if wrong := _refuse_block(block):
                return f"messages.{place}.content: {wrong}"
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"] += blocks
        else:
            joined.append({"role": message["role"], "content": [*blocks]})
    for turn in joined:
        results = {one["tool_use_id"] for one in turn["content"] if one["type"] == "tool_result"}
        if turn["role"] == "user" and results != expected:
            return "messages: `tool_use` ids were found without `tool_result` blocks immediately after"
        expected = {one["id"] for one in turn["content"] if one["type"] == "tool_use"}
    last = joined[-1]["content"][-1]
    if joined[-1]["role"] == "assistant" and last["type"] == "text" and last["text"] != last["text"].rstrip():
        return "messages: final assistant content cannot end with trailing whitespace"
    return ""


def _refuse_block(block: dict) -> str:
    kind = block["type"]
    if kind not in BLOCKS or block.keys() - BLOCKS[kind] - {"type"}:
        return f"{kind}: Extra inputs are not permitted"
    if kind == "text" and not block["text"].strip():
        return "text content blocks must contain non-whitespace text"
    if kind == "thinking" and not block["signature"]:
        return "thinking.signature: Field required"
    if kind in ("tool_use", "tool_result") and not ID.fullmatch(block.get("id") or block["tool_use_id"]):
        return "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    if "ttl" in (block.get("cache_control") or {}):
        return "an hour in the cache has another price, which the house does not know"
    inner = block.get("content") if kind == "tool_result" else None
    return (
        next((wrong for one in inner if (wrong := _refuse_block(one))), "") if isinstance(inner, list) else ""
    )


def answer_messages(body: dict) -> tuple[int, bytes]:
    if wrong := _refuse(body, KNOWN):
        return 400, error("invalid_request_error", wrong)
    if body.get("tools") and body.get("tool_choice", {}).get("type") != "none":
        return 200, b"".join(TOOLS) if body.get("stream") else WHOLE_TOOLS
    return 200, b"".join(ANSWER) if body.get("stream") else WHOLE


def count_tokens(body: dict) -> tuple[int, bytes]:
    if wrong := _refuse(body, COUNTED):
        return 400, error("invalid_request_error", wrong)
    return 200, b'{"input_tokens":2095}'


ROUTES = {"/v1/messages": answer_messages, "/v1/messages/count_tokens": count_tokens}
