"""Answers in JSON (`response_format`): models that keep no form by themselves are told of the schema. Where
their provider does not vouch for it, the answer is checked, and one that breaks it goes back to the model
once, with what is wrong with it.

Does not cover: answers that were cut at their greatest length, refused, or call tools. They pass as they are,
and their `finish_reason` says what they are.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.answers.broken import BrokenForm
from gateway.calls import Call, Correction
from gateway.operations.chat_completions.answer import as_chunks
from gateway.operations.chat_completions.assembly import Gathered
from gateway.operations.chat_completions.finish import STOP
from gateway.operations.chat_completions.parts import REASONING, find_reasoning
from gateway.operations.chat_completions.schemas import OBJECT, PLACE, SCHEMA, is_known, read_schema
from gateway.operations.chat_completions.validation import CannotTell, NotKept, Work, read_json
from models_registry.routes import Candidate

# for models: no text that a person reads, so not translated
ANY_OBJECT = "Answer with one JSON object alone: no other text before or after it, no code fences."
OF_SCHEMA = (
    "Answer with JSON alone that keeps the following JSON schema: no other text before or after it, no code "
    "fences.\n"
)
AGAIN = "That is wrong: {reason}. Answer again, with the corrected JSON alone."
MOST_SENT_BACK = 40_000  # characters of the answer that is to be corrected
SYSTEM = ("system", "developer")


@dataclass(frozen=True, slots=True)
class JsonForm:
    """See `gateway.calls.Form`."""

    name: str  # json_object, json_schema
    schema: dict[str, Any]
    wanted: dict[str, Any]  # as the request has it
    place: str = PLACE  # in the request, as its caller knows it
    schema_place: str = f"{PLACE}.{SCHEMA}.schema"

    @property
    def is_known(self) -> bool:
        return self.name == OBJECT or is_known(self.schema)

    def verify(self) -> None:
        if self.name != OBJECT:
            read_schema(self.schema, self.schema_place)

    def is_ours_to_keep(self, candidate: Candidate) -> bool:
        capabilities = candidate.route.capabilities
        return not candidate.provider.keeps_form(self.wanted, candidate.upstream_name, capabilities)

    def is_ours_to_check(self, candidate: Candidate) -> bool:
        return self.is_ours_to_keep(candidate) or not candidate.provider.vouches_for(self.wanted)

    def write(self, call: Call, body: dict[str, Any]) -> None:
        """Ask for it in words, in place, where it is ours to keep; and say what was wrong with an answer."""
        if self.is_ours_to_keep(call.candidate):
            del body[PLACE]
            if self.name == SCHEMA and OBJECT in call.candidate.provider.kept_formats:
                body[PLACE] = {"type": OBJECT}
            body["messages"] = _instructed(body["messages"], self._instruction())
        if call.correction is not None:
            body["messages"] = [*body["messages"], *_correcting(call.correction)]

    def _instruction(self) -> str:
        return ANY_OBJECT if self.name == OBJECT else OF_SCHEMA + orjson.dumps(self.schema).decode()

    @property
    def most_added_bytes(self) -> int:
        """To the prompt, by the instruction."""
        return len(self._instruction().encode()) + 100

    def check(self, call: Call, answer: dict[str, Any]) -> None:
        if not self.is_ours_to_check(call.candidate):
            return
        is_kept = not self.is_ours_to_keep(call.candidate)
        work = Work(len(answer["choices"]))
        for choice in answer["choices"]:
            message = choice["message"]
            if choice["finish_reason"] == STOP and not message.get("refusal"):
                message["content"] = self._read_message(message, work, is_kept=is_kept)
                message.pop("content_blocks", None)  # the same once more, as it was written

    def _read_message(self, message: dict[str, Any], work: Work, *, is_kept: bool) -> str:
        """`is_kept`: by the server, as it says."""
        text = message.get("content") or ""
        if is_kept and not text.strip() and (thought := find_reasoning(message)):
            with suppress(NotKept, CannotTell):  # where servers take an answer for a thought (vLLM)
                found = read_json(thought, self.schema, work)
                for name in REASONING:
                    message.pop(name, None)
                return found
        return self._read(text, work, is_kept=is_kept)

    def _read(self, text: str, work: Work, *, is_kept: bool) -> str:
        try:
            return read_json(text, self.schema, work)
        except NotKept as exc:
            raise _broken(Correction(text[:MOST_SENT_BACK], str(exc)), self.place) from exc
        except CannotTell as exc:
            if is_kept:
                return text
            raise InvalidInput(
                _("“%(name)s” %(reason)s.")
                % {
                    "name": self.place,
                    "reason": _("takes too long to check an answer by; simplify the schema"),
                },
                param=self.place,
            ) from exc

    def gather(self) -> Gathered:
        return Gathered()

    def conclude(self, call: Call, gathered: Gathered) -> list[dict[str, Any]]:
        answer = gathered.whole(call)
        self.check(call, answer)
        return as_chunks(call, answer)


def _broken(correction: Correction, place: str) -> BrokenForm:
    """As the caller is told where it stays so."""
    message = _(
        "The model's answer is not the JSON that “%(name)s” asks for (%(reason)s). Simplify the schema, or "
        "choose another model."
    )
    return BrokenForm(message % {"name": place, "reason": correction.reason}, correction)


def _instructed(messages: list[dict[str, Any]], instruction: str) -> list[dict[str, Any]]:
    """In the first message where that is the system's: some templates take one of these, and only there."""
    first, *others = messages
    if first["role"] not in SYSTEM:
        return [{"role": "system", "content": instruction}, *messages]
    content = first["content"]
    if isinstance(content, str):
        content = f"{content}\n\n{instruction}"
    else:
        content = [*content, {"type": "text", "text": instruction}]
    return [{**first, "content": content}, *others]


def _correcting(correction: Correction) -> list[dict[str, Any]]:
    said = [{"role": "assistant", "content": correction.text}] if correction.text.strip() else []
    return [*said, {"role": "user", "content": AGAIN.format(reason=correction.reason)}]
