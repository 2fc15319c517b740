"""Cohere's API (version 2) as its published description and reports of its users show it: the bytes of its
answers, and the refusal of fields that it does not know.
"""

import orjson

KNOWN = {
    "/v2/chat": {
        "stream", "model", "messages", "tools", "strict_tools", "documents", "citation_options",
        "response_format", "safety_mode", "max_tokens", "stop_sequences", "temperature", "seed",
        "frequency_penalty", "presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority",
    },
    "/v2/embed": {
        "texts", "images", "model", "input_type", "inputs", "max_tokens", "output_dimension",
        "embedding_types", "truncate", "priority",
    },
    "/v2/rerank": {"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"},
}  # fmt: skip
KNOWN_OF_MESSAGES = {"role", "content", "tool_calls", "tool_plan", "tool_call_id", "citations"}
KNOWN_OF_FUNCTIONS = {"name", "description", "parameters"}


def sent(kind: str, more: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{more}}}\n\n'.encode()


def said(kind: str, message: str, index: int | None = None) -> bytes:
    place = "" if index is None else f',"index":{index}'
    return sent(kind, f'{place},"delta":{{"message":{message}}}')


START = (
    b'event: message-start\ndata: {"id":"29f14a5a-11de-4cae-9800-25e4747408ea","type":"message-start",'
    b'"delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],'
    b'"citations":[]}}}\n\n'
)
USAGE = (
    '"usage":{"billed_units":{"input_tokens":17,"output_tokens":12},'
    '"tokens":{"input_tokens":540,"output_tokens":14},"cached_tokens":512}'
)
DONE = b"data: [DONE]\n\n"


def end(reason: str = "COMPLETE", more: str = "") -> bytes:
    return sent("message-end", f',"delta":{{"finish_reason":"{reason}"{more},{USAGE}}}')


ANSWER = [
    START,
    said("content-start", '{"content":{"type":"thinking","thinking":""}}', 0),
    said("content-delta", '{"content":{"thinking":"Hm, "}}', 0),
    said("content-delta", '{"content":{"thinking":"so."}}', 0),
    sent("content-end", ',"index":0'),
    said("content-start", '{"content":{"type":"text","text":""}}', 1),
    said("content-delta", '{"content":{"text":"Par"}}', 1),
    said("content-delta", '{"content":{"text":"is"}}', 1),
    said("content-delta", '{"content":{"text":" \\"\\u00e0\\""}}', 1),
    said("citation-start", '{"citations":{"start":0,"end":5,"text":"Paris","sources":[]}}', 0),
    sent("citation-end", ',"index":0'),
    sent("content-end", ',"index":1'),
    end(),
]
TOOLS = [
    START,
    said("tool-plan-delta", '{"tool_plan":"I will"}'),
    said("tool-plan-delta", '{"tool_plan":" look."}'),
    said(
        "tool-call-start",
        '{"tool_calls":{"id":"weather_1","type":"function","function":{"name":"weather","arguments":""}}}',
        0,
    ),
    said("tool-call-delta", '{"tool_calls":{"function":{"arguments":"{\\"at\\": "}}}', 0),
    said("tool-call-delta", '{"tool_calls":{"function":{"arguments":"1}"}}}', 0),
    sent("tool-call-end", ',"index":0'),
    said(
        "tool-call-start",
        '{"tool_calls":{"id":"clock_2","type":"function","function":{"name":"clock","arguments":""}}}',
        1,
    ),
    said("tool-call-delta", '{"tool_calls":{"function":{"arguments":"{}"}}}', 1),
    sent("tool-call-end", ',"index":1'),
    end("TOOL_CALL"),
]
WHOLE = (
    '{"id":"c14c80c3-18eb-4519-9460-6c92edd8cfb4","message":{"role":"assistant",'
    '"content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"Paris"},'
    '{"type":"text","text":"."}],"citations":[]},'
    f'"finish_reason":"MAX_TOKENS",{USAGE}}}'
).encode()
WHOLE_TOOLS = (
    '{"id":"c14c80c3","message":{"role":"assistant","tool_plan":"I will look.",'
    '"tool_calls":[{"id":"weather_1","type":"function",'
    '"function":{"name":"weather","arguments":"{\\"at\\": 1}"}}]},'
    f'"finish_reason":"TOOL_CALL",{USAGE}}}'
).encode()
WHOLE_ERROR = f'{{"id":"c14c80c3","message":{{"role":"assistant"}},"finish_reason":"ERROR",{USAGE}}}'.encode()


def refuse_unknown(path: str, body: dict) -> bytes:
    """What it says of a field that it does not know; nothing if there is none."""
    wrong = [*(body.keys() - KNOWN[path])]
    for message in body.get("messages", ()):
        wrong += message.keys() - KNOWN_OF_MESSAGES
    for tool in body.get("tools", ()):
        wrong += tool["function"].keys() - KNOWN_OF_FUNCTIONS
    if not wrong:
        return b""
    return orjson.dumps(
        {
            "id": "1fea16bb-ffb5-4d09-a9ba-db25a3a0b6d8",
            "message": f"unknown field: parameter '{wrong[0]}' is not a valid field. For proper usage, please"
            " refer to https://docs.cohere.com/reference/chat",
        }
    )


def answer_chat(body: dict) -> tuple[int, bytes]:
    if refused := refuse_unknown("/v2/chat", body):
        return 422, refused
    if body.get("tools"):
        return 200, b"".join(TOOLS) if body.get("stream") else WHOLE_TOOLS
    return 200, b"".join(ANSWER) if body.get("stream") else WHOLE


def answer_vectors(body: dict) -> tuple[int, bytes]:
    if refused := refuse_unknown("/v2/embed", body):
        return 422, refused
    kinds = body["embedding_types"]
    vectors = {kind: [[1, 2] if kind == "int8" else [0.5, 0.25] for _text in body["texts"]] for kind in kinds}
    answer = {"id": "da6e531f", "texts": body["texts"], "embeddings": vectors}
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5}}
    return 200, orjson.dumps(answer | {"meta": meta, "response_type": "embeddings_by_type"})


def answer_relevances(body: dict) -> tuple[int, bytes]:
    """The last document is the best; it counts searches, no tokens."""
    if refused := refuse_unknown("/v2/rerank", body):
        return 422, refused
    count = len(body["documents"])
    results = [{"index": index, "relevance_score": (index + 1) / count} for index in reversed(range(count))]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return 200, orjson.dumps({"results": results[: body.get("top_n")], "id": "07734bd2", "meta": meta})
