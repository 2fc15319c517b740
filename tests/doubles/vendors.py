"""Vendors that speak OpenAI's API with words of their own: what their documentation and public reports show
of a stream, a whole answer and a refusal. Nobody has asked the vendors themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from tests.doubles.vendor import Answer, Said

DONE = b"data: [DONE]\n\n"
TEXT, THOUGHT = 'Paris "à"', "Hm, so."
FILTERED = {
    "hate": {"filtered": False, "severity": "safe"},
    "jailbreak": {"detected": False, "filtered": False},
}
Refuse = Callable[[dict], tuple[int, dict] | None]  # a request, by what it holds


def _event(**fields: object) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000, "model": "theirs"}
    return b"data: " + orjson.dumps(head | fields) + b"\n\n"


def _piece(finish: str | None = None, beside: dict | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return _event(choices=[choice], **(beside or {}))


@dataclass(frozen=True)
class Vendor:
    """`base`: the path of its base address; `usage`: what is billed of each answer (read, of that from the
    cache, written, thought). `whole_usage`: its report, and what stands beside it in a whole answer.
    """

    kind: str
    stream: list[bytes]
    usage: tuple[int, int, int, int]
    whole_usage: dict
    base: str = "/v1"
    path: str = "/chat/completions"
    thoughts: str = "reasoning_content"  # "": its models do not tell them
    refuse: Refuse = field(default=lambda _body: None)
    text: str = TEXT  # of a whole answer

    def whole(self) -> bytes:
        message = {"role": "assistant", "content": self.text}
        if self.thoughts:
            message[self.thoughts] = THOUGHT
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000, "model": "theirs"}
        return orjson.dumps({**head, "choices": [choice], **self.whole_usage})

    def answer(self, body: dict) -> Said:
        if refused := self.refuse(body):
            return refused[0], orjson.dumps(refused[1])
        return 200, b"".join(self.stream) if body.get("stream") else self.whole()

    @property
    def routes(self) -> dict[str, Answer]:
        return {f"{self.base}{self.path}": self.answer}


# -- xAI: what was thought is counted beside what was written ------------------------------------------------

XAI_USAGE = {
    "prompt_tokens": 195,
    "completion_tokens": 5,
    "total_tokens": 312,
    "prompt_tokens_details": {"text_tokens": 195, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 192},
    "completion_tokens_details": {"reasoning_tokens": 112, "audio_tokens": 0},
    "num_sources_used": 0,
}


def _refuse_as_xai(body: dict) -> tuple[int, dict] | None:
    names = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty", "stop": "stop"}
    name = next((theirs for ours, theirs in names.items() if ours in body), "")
    text = f"Model grok-4.5 does not support parameter {name}."
    return (400, {"code": "Client specified an invalid argument", "error": text}) if name else None


XAI = Vendor(
    "xai",
    [
        _event(choices=[{"index": 0, "delta": {"reasoning_content": "Hm,", "role": "assistant"}}]),
        _event(choices=[{"index": 0, "delta": {"reasoning_content": " so."}}]),
        _event(choices=[{"index": 0, "delta": {"content": "Paris "}}]),
        _event(choices=[{"index": 0, "delta": {"content": '"à"'}}]),
        _event(choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]),
        _event(choices=[], usage=XAI_USAGE, system_fingerprint="fp_10f00c862d"),
        DONE,
    ],
    (3, 192, 5, 112),
    {"usage": XAI_USAGE},
    refuse=_refuse_as_xai,
)

# -- DeepSeek ------------------------------------------------------------------------------------------------

DEEPSEEK_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 30,
    "total_tokens": 50,
    "completion_tokens_details": {"reasoning_tokens": 18},
    "prompt_cache_hit_tokens": 16,
    "prompt_cache_miss_tokens": 4,
}


def _wants_thoughts(body: dict, text: str) -> tuple[int, dict] | None:
    """The vendors' refusal of calls of tools that come without what was thought before them."""
    if body.get("thinking") == {"type": "disabled"}:
        return None
    for place, message in enumerate(body["messages"]):
        if message.get("tool_calls") and not message.get("reasoning_content"):
            kind = "invalid_request_error"
            return 400, {"error": {"message": text.format(place), "type": kind, "param": None, "code": kind}}
    return None


def _refuse_as_deepseek(body: dict) -> tuple[int, dict] | None:
    if body.get("response_format", {}).get("type") == "json_schema":
        return 400, {"error": {"message": "This response_format type is unavailable now"}}
    text = "The `reasoning_content` in the thinking mode must be passed back to the API."
    return _wants_thoughts(body, text)


DEEPSEEK = Vendor(
    "deepseek",
    [
        b": keep-alive\n\n",
        _piece(role="assistant", content=None, reasoning_content=""),
        _piece(content=None, reasoning_content="Hm, so."),
        _piece(content="Paris ", reasoning_content=None),
        _piece(content='"à"', reasoning_content=None),
        _piece("stop", {"usage": DEEPSEEK_USAGE}, content="", reasoning_content=None),
        DONE,
    ],
    (4, 16, 12, 18),
    {"usage": DEEPSEEK_USAGE},
    refuse=_refuse_as_deepseek,
)

# -- Moonshot: the report stands in the last choice ----------------------------------------------------------

MOONSHOT_USAGE = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 8}


def _refuse_as_moonshot(body: dict) -> tuple[int, dict] | None:
    text = "thinking is enabled but reasoning_content is missing in assistant tool call message at index {}"
    return _wants_thoughts(body, text)


MOONSHOT = Vendor(
    "moonshot",
    [
        _piece(role="assistant", content=""),
        _piece(reasoning_content="Hm, so."),
        _piece(content="Paris "),
        _piece(content='"à"'),
        _event(
            choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": MOONSHOT_USAGE}],
            system_fingerprint="fpv0_10a6da87",
        ),
        DONE,
    ],
    (11, 8, 13, 0),
    {"usage": MOONSHOT_USAGE},
    refuse=_refuse_as_moonshot,
)

# -- Groq: what is not known is refused ----------------------------------------------------------------------

GROQ_KNOWN = {
    "model", "messages", "temperature", "top_p", "max_completion_tokens", "max_tokens", "stream", "stop",
    "stream_options", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format", "n", "user",
    "reasoning_effort", "reasoning_format", "include_reasoning", "presence_penalty", "frequency_penalty",
    "metadata", "service_tier",
}  # fmt: skip
GROQ_KNOWN_OF_MESSAGES = frozenset({"role", "content", "tool_calls", "tool_call_id"})
GROQ_USAGE = {
    "queue_time": 0.061,
    "prompt_tokens": 24,
    "prompt_time": 0.001,
    "completion_tokens": 20,
    "completion_time": 0.022,
    "total_tokens": 44,
    "total_time": 0.023,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 9},
}


def _refuse_as_groq(body: dict) -> tuple[int, dict] | None:
    texts = [f"property '{name}' is unsupported" for name in sorted(body.keys() - GROQ_KNOWN)]
    for place, message in enumerate(body["messages"]):
        for name in sorted(message.keys() - GROQ_KNOWN_OF_MESSAGES):
            texts.append(
                f"'messages.{place}' : for 'role:{message['role']}' the following must be satisfied"
                f"[('messages.{place}' : property '{name}' is unsupported)]"
            )
    return (400, {"error": {"message": texts[0], "type": "invalid_request_error"}}) if texts else None


GROQ = Vendor(
    "groq",
    [
        _piece(None, {"x_groq": {"id": "req_01"}}, role="assistant", content=""),
        _piece(channel="analysis", reasoning="Hm, so."),
        _piece(content="Paris "),
        _piece(content='"à"'),
        _piece("stop", {"x_groq": {"id": "req_01", "usage": GROQ_USAGE}}),
        DONE,
    ],
    (20, 4, 11, 9),
    {"usage": GROQ_USAGE, "usage_breakdown": None, "x_groq": {"id": "req_01"}, "service_tier": "on_demand"},
    base="/openai/v1",
    thoughts="reasoning",
    refuse=_refuse_as_groq,
)

# -- Azure: filters speak before, between and after the pieces -----------------------------------------------

AZURE_USAGE = {
    "prompt_tokens": 18,
    "completion_tokens": 12,
    "total_tokens": 30,
    "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_NOBODY = {"id": "", "model": "", "object": "", "created": 0}
_PROMPT_FILTERED = [{"prompt_index": 0, "content_filter_results": FILTERED}]
AZURE_REFUSAL = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy. Please modify your prompt and retry. To learn more about our content filtering policies "
        "please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
        },
    }
}


def _refuse_as_azure(body: dict) -> tuple[int, dict] | None:
    if "metadata" in body:
        text = "The 'metadata' parameter is only allowed when 'store' is enabled."
        return 400, {"error": {"message": text, "type": "invalid_request_error", "param": "metadata"}}
    return (400, AZURE_REFUSAL) if "violence" in str(body["messages"]) else None


AZURE = Vendor(
    "azure",
    [
        _event(**_NOBODY, choices=[], prompt_filter_results=_PROMPT_FILTERED),
        _piece(role="assistant", content="", refusal=None),
        _piece(content="Paris "),
        _event(
            **_NOBODY,
            choices=[
                {
                    "index": 0,
                    "finish_reason": None,
                    "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
                    "content_filter_results": FILTERED,
                }
            ],
        ),
        _piece(content='"à"'),
        _piece("stop"),
        _event(choices=[], usage=AZURE_USAGE),
        DONE,
    ],
    (18, 0, 12, 0),
    {"usage": AZURE_USAGE, "prompt_filter_results": _PROMPT_FILTERED},
    base="/openai/v1",
    thoughts="",
    refuse=_refuse_as_azure,
)

# -- llama.cpp -----------------------------------------------------------------------------------------------

LLAMACPP_USAGE = {"completion_tokens": 35, "prompt_tokens": 237, "total_tokens": 272}
TIMINGS = {
    "cache_n": 236,
    "prompt_n": 1,
    "prompt_ms": 30.958,
    "predicted_n": 35,
    "predicted_ms": 661.064,
    "predicted_per_second": 52.9,
}
TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (4476 tokens) exceeds the available context size (4096 tokens), try "
        "increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 4476,
        "n_ctx": 4096,
    }
}
LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}

LLAMACPP = Vendor(
    "llamacpp",
    [
        _piece(role="assistant", content=None),
        _piece(reasoning_content="Hm, so."),
        _piece(content="Paris "),
        b": \n\n",
        _piece(content='"à"'),
        _piece("stop"),
        _event(choices=[], usage=LLAMACPP_USAGE, timings=TIMINGS),
        DONE,
    ],
    (1, 236, 35, 0),
    {"usage": LLAMACPP_USAGE, "timings": TIMINGS},
)

VENDORS = (XAI, DEEPSEEK, MOONSHOT, GROQ, AZURE, LLAMACPP)
