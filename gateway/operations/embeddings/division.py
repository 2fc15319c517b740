"""More texts than a provider takes at once: the request as several, and their answers as one."""

from dataclasses import replace

import orjson

from gateway.answers.whole import nonsense
from gateway.calls import Call, Place

BEGIN, END = b"[", b'],"model":'  # of the vectors in an answer that we have written; no number has these


def divide(call: Call, most: int) -> list[Call]:
    """The call as several of at most so many texts each, in their order."""
    return [_part(call, first, most) for first in range(0, call.text_count, most)]


def _part(call: Call, first: int, most: int) -> Call:
    texts = call.body["input"][first : first + most]
    return replace(
        call,
        body={**call.body, "input": texts},
        size_bytes=len(orjson.dumps(texts)),
        text_count=len(texts),
        place=Place(first, len(texts) / call.text_count),
    )


def join(call: Call, answers: list[bytes]) -> bytes:
    """The answer of all, from those of the parts as `read_answer` has written them. Raises UpstreamError for
    vectors of several lengths.
    """
    if len({_length_of_first(answer) for answer in answers}) > 1:
        raise nonsense()
    tokens = call.usage.total_input if call.usage is not None else 0
    rest = {"model": call.told_name, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    written: list[bytes | memoryview] = []
    for answer in answers:  # views: a copy of all of them is one more answer in memory
        vectors = memoryview(answer)[answer.index(BEGIN) + len(BEGIN) : answer.rindex(END)]
        written += [b"," if written else b'{"object":"list","data":[', vectors]
    return b"".join([*written, b"],", orjson.dumps(rest)[1:]])


def _length_of_first(answer: bytes) -> int:
    """Of its first vector, in the form that was asked for; the others of an answer are as long."""
    first = answer.index(BEGIN) + len(BEGIN)
    return len(orjson.loads(answer[first : answer.index(b"}", first) + 1])["embedding"])
