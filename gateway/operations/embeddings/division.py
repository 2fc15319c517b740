"""More texts than a provider takes at once: the request as several, and their answers as one."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.answers.whole import nonsense
from gateway.calls import Call


def divide(call: Call, most: int) -> list[Call]:
    """The call as several of at most so many texts each, in their order."""
    texts = call.body["input"]
    return [_part(call, texts[first : first + most]) for first in range(0, len(texts), most)]


def _part(call: Call, texts: list[Any]) -> Call:
    body = {**call.body, "input": texts}
    return replace(call, body=body, size_bytes=len(orjson.dumps(texts)), text_count=len(texts))


def join(call: Call, answers: list[bytes]) -> bytes:
    """The answer of all, from those of the parts as `read_answer` has written them. Raises UpstreamError for
    vectors of several lengths.
    """
    count, lengths, written = 0, set(), []
    for answer in answers:
        entries = orjson.loads(answer)["data"]
        lengths.add(len(entries[0]["embedding"]))
        for entry in entries:
            entry["index"] = count
            count += 1
        written.append(orjson.dumps(entries)[1:-1])
    if len(lengths) > 1:
        raise nonsense()
    tokens = call.usage.total_input if call.usage is not None else 0
    return orjson.dumps(
        {
            "object": "list",
            "data": orjson.Fragment(b"[%b]" % b",".join(written)),
            "model": call.route.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )
