"""The events of a streamed chat completion: read tolerantly, written strictly.

Covers: events that are no chunks, usage in an event of its own shape, content in parts, halves of emojis,
empty reasons for an end and reasons with each piece, servers that send a message where a delta belongs, tool
calls in any shape.
"""

from typing import Any

from gateway.answers.estimate import BYTES_PER_TOKEN, count_text_bytes, estimate_tokens
from gateway.answers.json_text import Halves, as_number
from gateway.answers.usage import Reports, head_of
from gateway.calls import Call, Chunk
from gateway.operations.chat_completions.finish import (
    CALLED,
    STOP,
    name_end,
    name_end_of_calls,
    name_finish_reason,
)
from gateway.operations.chat_completions.nesting import Nesting
from gateway.operations.chat_completions.parts import read_reasoning, split_content
from gateway.operations.chat_completions.tool_calls import CallReader
from models_registry.providers.openai_compatible.usage import counts_nothing

ROLE = "assistant"
TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class ChatChunkReader:
    """Reads the events of one stream in their order, and notes in the call what they say."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._provider = call.candidate.provider
        self._halves = Halves()
        self._calls: dict[int, CallReader] = {}  # of each choice that makes any
        self._thoughts: dict[int | None, int] = {}  # the provider's numbers of signed thoughts → ours
        # the arguments, by choice, of a call of the kind before tools, which is passed on as it is
        self._function_arguments: dict[int, Nesting] = {}
        self._reasons: dict[int, str | None] = {}  # of each choice: why it ended
        self._untold: set[int] = set()  # whose reason the client gets at the very end
        self._open: set[int] = set()  # of which a piece came that told no reason
        self.is_end_doubtful = self.has_gone_on = False
        self._has_report = self._goes_on_behind_reports = False  # in events of their own, behind a reason
        self._reports = Reports()
        self._read_bytes = 0  # of text
        self._read_tokens = 0  # as estimated by them
        self._is_changed = False

    @property
    def has_calls(self) -> bool:
        is_called = bool(self._function_arguments) or not CALLED.isdisjoint(self._reasons.values())
        return is_called or any(calls.has_calls for calls in self._calls.values())

    @property
    def has_open_end(self) -> bool:
        return None in self._reasons.values()

    def read(self, event: Any, size: int) -> Chunk | None:
        """What an event of so many bytes says to the client; None if that is nothing. Raises ValueError for
        what makes no sense.
        """
        if not isinstance(event, dict):
            raise ValueError("an event is an object")
        call = self._call
        usage = self._provider.read_usage(event)
        self._is_changed = self._provider.has_own_events
        choices = event.get("choices")
        if choices is None and isinstance(event.get("message"), dict):  # Ollama's own API
            reason = event.get("done_reason") or (STOP if event.get("done") is True else None)
            choices = [{"delta": event.pop("message"), "finish_reason": reason}]
            self._is_changed = True
        try:
            text = self._note_choices(choices or [], size)
        finally:  # what it reports counts, whatever else of it makes no sense
            if usage is not None:
                call.note_usage(self._reports.add(usage, call.pieces_seen, self._text_bytes))
        if usage is None and event.get("usage") is not None:  # it cannot be true: the client is not told
            call.has_report_of_nothing |= counts_nothing(event)
            del event["usage"]
            self._is_changed = True
            if not choices:
                return None
        if not choices:
            self._end_doubt(has_usage=usage is not None)
            return self._report(event, has_usage=usage is not None)
        event["choices"] = choices
        self._name(event)
        is_alike = not self._provider.has_own_events or bool(self._provider.text_key)
        may_pass = event.get("usage") is None and is_alike
        if event.get("usage") is not None:
            reported = event.pop("usage")
            self._is_changed = True
            if call.wants_usage:
                call.report = {"usage": reported}
        return Chunk(event, self._is_changed, text if may_pass else "")

    def _note_choices(self, choices: Any, most: int) -> str:
        """Count a piece of the answer, at most so many bytes; its text, if the event says nothing else."""
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise ValueError("choices are a list of objects")  # before anything of them counts
        if not choices:
            return ""
        for position, choice in enumerate(choices):
            if "message" in choice:
                self._read_message(choice, position)
        if size := count_text_bytes(choices, most):
            tokens = estimate_tokens(size)
            self._call.note_piece(tokens)
            self._read_bytes += size
            self._read_tokens += tokens
        for position, choice in enumerate(choices):
            self._read_choice(choice, position, has_piece=size > 0)
        choice = choices[0]
        reason = choice["finish_reason"]
        if reason is not None:
            self._call.finish_reason = reason
        delta = choice["delta"]
        if reason is not None or len(choices) != 1 or delta.get("tool_calls") or "role" in delta:
            return ""
        text = delta.get("content")
        return text if type(text) is str else ""

    @property
    def _text_bytes(self) -> int:
        """Of the answer so far. What was passed on without being read counts as it was estimated."""
        return self._read_bytes + BYTES_PER_TOKEN * (self._call.output_tokens_seen - self._read_tokens)

    def _read_message(self, choice: dict[str, Any], position: int) -> None:
        """Where a delta belongs it is one; beside deltas it repeats what was said."""
        message = choice.pop("message")
        if not choice.get("delta") and choice.get("index", position) not in self._reasons:
            choice["delta"] = {"content": message} if isinstance(message, str) else message
        self._is_changed = True

    def _read_choice(self, choice: dict[str, Any], position: int, *, has_piece: bool) -> None:
        """Bring one choice into OpenAI's shape, in place."""
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            if delta is None:
                delta = {"content": choice["text"]} if isinstance(choice.get("text"), str) else {}
            if not isinstance(delta, dict):
                raise ValueError("a delta is an object")
            choice["delta"] = delta
            self._is_changed = True
        self._is_changed |= read_reasoning(delta)
        if type(delta.get("content")) not in (str, type(None)):
            self._is_changed |= split_content(delta)
        if type(choice.get("index")) is not int:
            choice["index"] = position
            self._is_changed = True
        if delta.get("tool_calls") not in (None, []):
            self._is_changed |= self._calls.setdefault(choice["index"], CallReader()).read(delta)
        if isinstance(thoughts := delta.get("thinking_blocks"), list):
            self._number_thoughts(thoughts)
        if function := delta.get("function_call"):
            self._note_function(choice["index"], function)
        given = choice.get("finish_reason")
        index = choice["index"]
        may_begin = has_piece or "role" in delta
        self._name_role(delta, is_first=index not in self._reasons)
        if "finish_reason" in delta:
            given = delta.pop("finish_reason") or given
            self._is_changed = True
        reason = name_finish_reason(given, has_calls=self._has_calls(index)) if given else None
        self._judge_end(index, reason, has_piece=has_piece, may_begin=may_begin)
        if reason or index not in self._reasons:
            self._reasons[index] = reason
        choice["finish_reason"] = self._tell(index, reason)
        self._is_changed |= choice["finish_reason"] != given
        self._join_texts(delta, index, is_last=reason is not None)

    def _note_function(self, index: int, function: Any) -> None:
        nesting = self._function_arguments.setdefault(index, Nesting())
        piece = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(piece, str):
            nesting.add(piece)

    def _number_thoughts(self, thoughts: list[Any]) -> None:
        """Clients put their pieces together by these numbers, as those of calls."""
        self._is_changed = True
        thoughts[:] = [piece for piece in thoughts if isinstance(piece, dict)]
        for piece in thoughts:
            given = as_number(piece.get("index"))
            piece["index"] = self._thoughts.setdefault(given, len(self._thoughts))

    def _name_role(self, delta: dict[str, Any], *, is_first: bool) -> None:
        """Who speaks stands in a choice's first delta, whatever its server says and where: clients know the
        message's kind by it, and join texts that come twice.
        """
        if is_first and delta.get("role") != ROLE:
            delta["role"] = ROLE
            self._is_changed = True
        elif not is_first and "role" in delta:
            del delta["role"]
            self._is_changed = True

    def _has_calls(self, index: int) -> bool:
        return index in self._calls and self._calls[index].has_calls

    def _judge_end(self, index: int, reason: str | None, *, has_piece: bool, may_begin: bool) -> None:
        """Some servers tell a reason with each piece, or with who speaks: then it says nothing of the end.
        One in an event of its own is believed, and one with a piece whose forerunners told none.
        """
        goes_on = has_piece and self._reasons.get(index) is not None
        if reason:
            self.is_end_doubtful = may_begin and (goes_on or index not in self._open)
        elif has_piece:
            self._open.add(index)
            self.is_end_doubtful = goes_on
        self.has_gone_on |= goes_on
        self._goes_on_behind_reports |= goes_on and self._has_report

    def _end_doubt(self, *, has_usage: bool) -> None:
        """A report in an event of its own comes behind the end, unless the server sends one a piece."""
        if has_usage and self._call.finish_reason is not None:
            self._has_report = True
            self.is_end_doubtful &= self._goes_on_behind_reports

    def _tell(self, index: int, reason: str | None) -> str | None:
        """The reason, if the client is told it now, and not while more may come: clients leave at the first.
        While a call has no arguments, or not all, they may still come. Where none do it gets `{}` ahead of
        the reason, for its client reads them when that comes; where the rest does not, it is told so.
        """
        if reason and (self.is_end_doubtful or (reason in CALLED and self._has_unfinished(index))):
            self._call.finish_reason = reason
            self._untold.add(index)
            return None
        if reason:
            self._untold.discard(index)
        return reason

    def _has_unfinished(self, index: int) -> bool:
        calls = self._calls.get(index)
        return self._is_cut(index) or (calls is not None and calls.lacks_arguments)

    def _is_cut(self, index: int) -> bool:
        """Whether the arguments of a call have not come whole so far."""
        calls, arguments = self._calls.get(index), self._function_arguments.get(index)
        return (calls is not None and calls.is_cut) or (arguments is not None and arguments.is_cut)

    def end(self, *, is_whole: bool) -> Chunk | None:
        """The chunk that tells why the answer ended, where the client does not know yet. `is_whole`: the
        server said that it did, perhaps without a reason.
        """
        open_ends = [index for index, reason in self._reasons.items() if reason is None and is_whole]
        choices = [self._last_choice(index) for index in sorted(self._untold.union(open_ends))]
        if not choices:
            return None
        self._untold.clear()
        self._call.finish_reason = choices[0]["finish_reason"]
        return Chunk({**head_of(self._call, {}), "choices": choices}, is_changed=True)

    def _last_choice(self, index: int) -> dict[str, Any]:
        reason = name_end(self._reasons[index], has_calls=self._has_calls(index))
        pieces = self._calls[index].end() if index in self._calls else []
        return {
            "index": index,
            "delta": {"tool_calls": pieces} if pieces else {},
            "finish_reason": name_end_of_calls(reason, is_cut=self._is_cut(index)),
        }

    def _join_texts(self, delta: dict[str, Any], index: int, *, is_last: bool) -> None:
        """Pieces of texts with whole characters. What waits for its other half goes with the next piece."""
        halves = self._halves
        for name in TEXTS:
            text = delta.get(name)
            if isinstance(text, str) and (whole := halves.join((index, name), text)) != text:
                delta[name] = whole
                self._is_changed = True
            if is_last and not halves.is_empty and (rest := halves.take_rest((index, name))):
                delta[name] = (delta.get(name) or "") + rest
                self._is_changed = True
        for tool in delta.get("tool_calls") or ():
            function = tool.get("function")
            text = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(text, str) and (whole := halves.join((index, "tool", tool["index"]), text)) != text:
                function["arguments"] = whole
                self._is_changed = True

    def _report(self, event: dict[str, Any], *, has_usage: bool) -> Chunk | None:
        """An event without choices, for those alone who asked for usage: others take the first choice of each
        chunk. What is no chunk and reports nothing is skipped.
        """
        if not self._call.wants_usage or (not has_usage and event.get("choices") is None):
            return None
        if has_usage:
            self._call.report = event  # told at the very end, when the bill is known
            return None
        self._name(event)
        return Chunk(event, self._is_changed)

    def _name(self, event: dict[str, Any]) -> None:
        """What every client of OpenAI's reads, the same in each chunk; the model's name is ours."""
        for name, value in head_of(self._call, event).items():
            given = event.get(name)
            if given != value or type(given) is not type(value):
                event[name] = value
                self._is_changed = True
