"""Tool calls as servers write them, brought into OpenAI's shape: a list, numbered from 0, each with an id,
its arguments as text. Clients put the pieces of a stream together by their numbers, and trip over gaps.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from gateway.answers.json_text import as_number, load_or_none, write_json
from gateway.operations.chat_completions.nesting import Nesting

NO_ARGUMENTS = "{}"  # what clients read where a function takes none
MOST_CALLS = 1_000  # of one answer: some steps look at all of them
ARGUMENTS = ("arguments", "parameters", "input")  # their names, OpenAI's first


@dataclass(slots=True)
class _Begun:
    """A call of which a piece has come."""

    id: str
    name: str
    is_whole: bool  # all of it came with its first piece
    lacks_arguments: bool  # so far
    arguments: Nesting = field(default_factory=Nesting)


class CallReader:
    """The tool calls of one choice of a stream, piece by piece."""

    __slots__ = ("_begun", "_by_id", "_last", "_numbers")

    def __init__(self) -> None:
        self._begun: list[_Begun] = []  # by our number
        self._by_id: dict[str, int] = {}
        self._numbers: dict[int, int] = {}  # the provider's → ours
        self._last = 0

    @property
    def has_calls(self) -> bool:
        return bool(self._begun)

    def read(self, delta: dict[str, Any]) -> bool:
        """Bring the pieces of a delta into shape, in place; whether anything was changed. Raises ValueError
        for arguments that cannot be written, and for more calls than anybody makes.
        """
        is_changed = list_calls(delta)
        kept = []
        for piece in delta["tool_calls"]:
            if self._find(piece, as_number(piece.get("index"))) is None and is_empty(piece):
                is_changed = True
                continue
            is_changed |= self._read_piece(piece)
            kept.append(piece)
        delta["tool_calls"] = kept
        if not kept:
            del delta["tool_calls"]
        return is_changed

    def _read_piece(self, piece: dict[str, Any]) -> bool:
        given = piece.get("index")
        place = as_number(given)
        number = self._find(piece, place)
        if number is None:
            number = len(self._begun)
            if number >= MOST_CALLS:
                raise ValueError("nobody makes that many calls")
            if piece.get("id") in self._by_id:
                del piece["id"]  # each has its own
            is_changed = complete(piece, no_arguments="")
            self._by_id[piece["id"]] = number
            is_function = piece.get("type") == "function"
            self._begun.append(_Begun(piece["id"], _name_of(piece), _is_whole(piece), is_function))
        else:
            is_changed = _continue(piece, self._begun[number])
        call = self._begun[number]
        if _has_arguments(piece):
            call.lacks_arguments = False
            call.arguments.add(piece["function"]["arguments"])
        if place is not None:
            self._numbers[place] = number
        self._last = number
        if type(given) is not int or given != number:
            piece["index"] = number
            return True
        return is_changed

    @property
    def lacks_arguments(self) -> bool:
        """Whether those of any call have not come so far."""
        return any(call.lacks_arguments for call in self._begun)

    @property
    def is_cut(self) -> bool:
        """Whether the arguments of any call have not come whole so far."""
        return any(call.arguments.is_cut for call in self._begun)

    def end(self) -> list[dict[str, Any]]:
        """The last pieces of calls whose arguments never came: `{}`, since clients read them as JSON, and ""
        is none.
        """
        return [
            {"index": number, "function": {"arguments": NO_ARGUMENTS}}
            for number, call in enumerate(self._begun)
            if call.lacks_arguments
        ]

    def _find(self, piece: dict[str, Any], place: int | None) -> int | None:
        """Which call a piece continues; None where it begins one."""
        number = self._last if place is None else self._numbers.get(place)
        if number is None or not self._begun:
            return None
        call, given_id, name = self._begun[number], _id_of(piece), _name_of(piece)
        if given_id and given_id != call.id:
            # old servers invent an id for each piece of a call, but name the function once
            return self._by_id.get(given_id, None if name or place is None else number)
        if name and not call.name and not _has_arguments(piece):
            return number  # the name alone comes behind the id, or behind the arguments
        if name and not given_id and (place is None or call.is_whole):
            return None
        if name and call.is_whole and (name != call.name or _is_whole(piece)):
            return None  # another one under the same id
        return number


def is_empty(call: dict[str, Any]) -> bool:
    """Whether it calls nothing: some servers put the frame of a call beside each text."""
    is_function = call.keys() <= {"index", "id", "type", "function"} and not isinstance(
        call.get("function"), str
    )
    return is_function and not (_id_of(call) or _name_of(call) or _has_arguments(call))


def is_nameless(call: dict[str, Any]) -> bool:
    """Whether nobody can tell what a whole call calls."""
    return call.get("type") in (None, "", "function") and not _name_of(call) and not _has_arguments(call)


def is_cut(arguments: str) -> bool:
    """Whether arguments end in the middle of their JSON. What else is odd is as the model wrote it."""
    nesting = Nesting()
    nesting.add(arguments)
    return nesting.is_cut


def has_cut_arguments(call: dict[str, Any]) -> bool:
    return _has_arguments(call) and is_cut(call["function"]["arguments"])


def _continue(piece: dict[str, Any], call: _Begun) -> bool:
    """What a call's first piece said is not said again: clients join texts that come twice."""
    is_changed = "id" in piece
    piece.pop("id", None)
    if "type" in piece and piece["type"] != "function":  # null or empty at some, where clients expect a word
        del piece["type"]
        is_changed = True
    function = piece.get("function")
    if isinstance(function, dict):
        if "arguments" in function:
            is_changed |= _write_arguments(function, "")
        if "name" in function and (not function["name"] or function["name"] == call.name):
            del function["name"]
            is_changed = True
    call.name = call.name or _name_of(piece)
    return is_changed


def list_calls(message: dict[str, Any]) -> bool:
    """Make its tool calls a list of objects, each with its function; whether they were none."""
    given = message["tool_calls"]
    told = load_or_none(given) if isinstance(given, str) else given
    calls = told if isinstance(told, list) else [told]
    is_changed = calls is not given or not all(isinstance(call, dict) for call in calls)
    if is_changed:
        calls = message["tool_calls"] = [call for call in calls if isinstance(call, dict) and call]
    for call in calls:
        if not isinstance(call.get("function"), dict) or "parameters" in call["function"]:
            is_changed |= _nest(call)
    return is_changed


def _nest(call: dict[str, Any]) -> bool:
    """A function that is written flat, or as a text, or with its arguments under another name, in OpenAI's
    shape.
    """
    function = call.get("function")
    if isinstance(function, str):
        function = load_or_none(function)
    if function is None and isinstance(call.get("name"), str):
        function = {name: call.pop(name) for name in ("name", *ARGUMENTS) if name in call}
    if not isinstance(function, dict):
        return False
    given = [function.pop(name) for name in ARGUMENTS if name in function]
    if given:
        function["arguments"] = next((arguments for arguments in given if arguments), given[0])
    call["function"] = function
    return True


def complete(call: dict[str, Any], no_arguments: str) -> bool:
    """What every call has, in place; whether anything was missing. Raises ValueError."""
    is_changed = False
    if (call_id := _id_of(call) or f"call_{uuid4().hex}") != call.get("id"):
        call["id"] = call_id
        is_changed = True
    function = call.get("function")
    if call.get("type") != "function" and (isinstance(function, dict) or not call.get("type")):
        call["type"] = "function"
        is_changed = True
    if isinstance(function, dict):
        is_changed |= _write_arguments(function, no_arguments)
    return is_changed


def _write_arguments(function: dict[str, Any], no_arguments: str) -> bool:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        if not arguments and no_arguments:
            function["arguments"] = no_arguments
            return True
        if arguments[:2] != '"{' or arguments[-2:] != '}"':
            return False
        inner = load_or_none(arguments)
        if not isinstance(inner, str):
            return False
        function["arguments"] = inner  # JSON in JSON
        return True
    function["arguments"] = no_arguments if arguments is None else write_json(arguments).decode()
    return True


def _has_arguments(piece: dict[str, Any]) -> bool:
    function = piece.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return isinstance(arguments, str) and bool(arguments.strip())


def _is_whole(call: dict[str, Any]) -> bool:
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(arguments, str) or arguments[:1] != "{" or arguments[-1:] != "}":
        return False
    return load_or_none(arguments) is not None


def _id_of(call: dict[str, Any]) -> str:
    given = call.get("id")
    return given if isinstance(given, str) else str(given) if type(given) is int else ""


def _name_of(call: dict[str, Any]) -> str:
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
