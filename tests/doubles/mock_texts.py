"""What the mock says at `/v1/completions`: the answers of the chat, as texts that go on.

Each prompt counts one token for every word, or for every token given. `n` answers come to each, one after the
other; `echo` puts the prompt in front; of `best_of` all are counted as written.
"""

from __future__ import annotations

from typing import Any

import orjson

from .mock_answers import Answer, Frames, Script, compose, usage_of
from .mock_http import Exchange
from .mock_speech import Speaker


def _prompts(body: dict[str, Any]) -> list[Any]:
    given = body["prompt"]
    is_one = isinstance(given, str) or (given and all(isinstance(token, int) for token in given))
    return [given] if is_one else given


def compose_texts(script: Script, body: dict[str, Any], serial: int) -> Answer:
    prompts, count = _prompts(body), body.get("n") or 1
    words = [prompt.split() if isinstance(prompt, str) else prompt for prompt in prompts]
    first = prompts[0] if isinstance(prompts[0], str) else ""
    asked = {**body, "messages": [{"role": "user", "content": first}]}
    answer = compose(script, asked, serial)
    answer.id = f"cmpl-mock{serial}"
    answer.choices = count * len(prompts)
    written = len(answer.pieces) * len(prompts) * max(count, body.get("best_of") or 1)
    answer.usage = usage_of(sum(map(len, words)), written)
    return answer


class TextFrames(Frames):
    def __init__(self, answer: Answer, *, include_usage: bool) -> None:
        super().__init__(answer, include_usage=include_usage)
        self._head = self._head.replace(b"chat.completion.chunk", b"text_completion")

    def event(self, index: int, delta: bytes, finish: bytes = b"null", fingerprint: bytes = b"null") -> bytes:
        text = orjson.loads(delta).get("content") or ""
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": orjson.loads(finish)}
        return self._head + fingerprint + b',"choices":[' + orjson.dumps(choice) + b"]" + self._end


class TextSpeaker(Speaker):
    def __init__(self, exchange: Exchange, body: dict[str, Any], answer: Answer) -> None:
        super().__init__(exchange, body, answer)
        if self.frames is not None:
            self.frames = TextFrames(answer, include_usage=self.frames.include_usage)

    def whole_body(self) -> bytes:
        answer, said = self.answer, "".join(self.answer.pieces)
        prompts, count = _prompts(self.body), self.body.get("n") or 1
        choices = [
            {
                "index": index,
                "text": (prompts[index // count] if self.body.get("echo") else "") + said,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
            for index in range(answer.choices)
        ]
        head = {
            "id": answer.id,
            "object": "text_completion",
            "created": answer.created,
            "model": answer.model,
        }
        return orjson.dumps(head | {"choices": choices} | ({"usage": answer.usage} if answer.usage else {}))
