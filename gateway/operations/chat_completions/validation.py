"""Whether a text is JSON that keeps a schema, within a bound of work.

Guards against: schemas whose checking grows without bound (references that double, patterns that backtrack,
long lists that are to have no two alike, long choices, what is left over once all else was looked at).
Does not cover: `format`, and patterns that could take long (`is_quick`): the model is told of them, and they
are not checked.
"""

import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import Any

import orjson
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from gateway.operations.chat_completions.schemas import BY_NAME, VALUES, check_unique, dialect_of

MAX_STEPS = 40_000  # for a text: about a tenth of a second, in a thread
MOST_TEXTS = 8  # of an answer (`n`) that may take so long: a call may have 128
# What costs about as much as a step: comparisons of values, and of texts; characters of an error's message
# and of JSON that is written; squares of a text's length that a pattern is matched against, and of the number
# of items and properties that are looked up in a list
COMPARED, TEXTS, CHARACTERS, PATTERN_SQUARE, LEFT_SQUARE = 10, 500, 500, 500, 1_000
MAX_REASON = 300
CLOSED_THOUGHTS = ("</think>", "</thinking>", "</thought>", "</reasoning>", "[/THINK]", "◁/think▷")
BEGINNINGS = ("{", "[", "```")
_FENCED = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_PIECES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[:=!]|\{\d+\}|\{\d*,\d*\}|.", re.DOTALL)
MOST_OPTIONAL, MOST_REPEATED, MAX_PATTERN = 6, 2, 500

_work: ContextVar["Work"] = ContextVar("work")


class CannotTell(Exception):
    """It would take too much work, or a reference leads nowhere."""


class NotKept(Exception):
    """The text is no JSON, or not of this schema; the message says where, for the model."""


class Work:
    """How many steps are left for all the texts of one answer."""

    def __init__(self, texts: int = 1) -> None:
        self.steps_left = MAX_STEPS * min(texts, MOST_TEXTS)


def read_json(text: str, schema: dict[str, Any], work: Work | None = None) -> str:
    """The JSON of a text in which nothing else is, but thoughts, fences and a word before and after. Raises
    NotKept, CannotTell.
    """
    written, value = _find_json(text)
    error = _first_error(orjson.dumps(schema), value, work or Work())
    if error is not None:
        raise NotKept(error)
    return written


def _find_json(text: str) -> tuple[str, Any]:
    whole = text.strip()
    for written in (whole, *_list_places(whole)):
        try:
            value = orjson.loads(written)
        except orjson.JSONDecodeError:
            continue
        _check_depth(value)
        return written, value
    raise NotKept("it is not valid JSON")


def _list_places(whole: str) -> Iterator[str]:
    """Where JSON may stand in a text. What begins with it may speak of the marks that close thoughts."""
    if whole.startswith(BEGINNINGS):
        yield from _list_inner(whole)
    for closing in CLOSED_THOUGHTS:
        whole = whole.rpartition(closing)[2]
    yield whole.strip()
    yield from _list_inner(whole)


def _list_inner(text: str) -> Iterator[str]:
    if fenced := _FENCED.search(text):
        yield fenced[1].strip()
    ends = [place for mark in "{[" if (place := text.find(mark)) >= 0]
    if ends:
        yield text[min(ends) : max(text.rfind("}"), text.rfind("]")) + 1]


def _check_depth(value: Any) -> None:
    """More levels can be read than written, and what checks it goes through all of them."""
    try:
        orjson.dumps(value)
    except TypeError:
        raise NotKept("it is nested too deep") from None


def _first_error(schema: bytes, value: Any, work: Work) -> str | None:
    _work.set(work)
    try:
        error = next(_validator_of(schema).iter_errors(value), None)
    except (RecursionError, Unresolvable):
        raise CannotTell from None
    return None if error is None else f"{error.json_path}: {error.message}"[:MAX_REASON]


@lru_cache(maxsize=256)
def _validator_of(written: bytes) -> Validator:
    schema = orjson.loads(written)
    dialect: Any = dialect_of(schema)  # a class, which mypy takes for no key of a cache
    return _counting(dialect)(_without_slow(schema), registry=Registry())  # which fetches nothing


@cache
def _counting(dialect: type[Validator]) -> type[Validator]:
    """The same, each of whose checks costs its steps."""
    checks = {name: _counted(check, _COSTS.get(name, _cost)) for name, check in dialect.VALIDATORS.items()}
    checks["pattern"] = _counted(_check_pattern, _cost_of_pattern)
    checks["enum"] = _counted(_check_enum, _cost_of_choice)
    checks["uniqueItems"] = _counted(check_unique, _cost_of_whole)
    counting: Any = extend(dialect, checks)
    evolve = counting.evolve

    def counted(validator: Any, **changes: Any) -> Any:
        """What is left over is looked for without checks, from one schema to the next."""
        _spend(1)
        return evolve(validator, **changes)

    counting.evolve = counted
    return counting


def _spend(steps: int) -> None:
    work = _work.get()
    work.steps_left -= steps
    if work.steps_left < 0:
        raise CannotTell


Check = Callable[..., Any]
Cost = Callable[[Any, Any], int]  # of a check's value, of an instance


def _counted(check: Check, cost: Cost) -> Check:
    def counted(validator: Validator, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        _spend(1 + cost(value, instance))
        for error in check(validator, value, instance, schema) or ():
            _spend(1 + len(error.message) // CHARACTERS)
            yield error

    return counted


def _cost(value: Any, instance: Any) -> int:
    return (_length(value) + _length(instance)) // COMPARED


def _cost_of_choice(value: Any, instance: Any) -> int:
    """Texts are compared about as fast as they are found."""
    if isinstance(instance, str) and isinstance(value, list):
        return len(value) // TEXTS
    return _count_values(value) // COMPARED


def _cost_of_rest(_value: Any, instance: Any) -> int:
    return _length(instance) ** 2 // LEFT_SQUARE


def _cost_of_pattern(_pattern: Any, instance: Any) -> int:
    return len(instance) ** 2 // PATTERN_SQUARE if isinstance(instance, str) else 0


def _cost_of_whole(_value: Any, instance: Any) -> int:
    return len(orjson.dumps(instance)) // CHARACTERS


_COSTS: dict[str, Cost] = {
    "const": _cost_of_choice,
    "unevaluatedItems": _cost_of_rest,
    "unevaluatedProperties": _cost_of_rest,
}


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _count_values(value: Any) -> int:
    """In lists and objects, however deep."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(_count_values, value)) if isinstance(value, list) else 1


def _check_enum(validator: Validator, values: list[Any], instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, str):
        yield from Draft202012Validator.VALIDATORS["enum"](validator, values, instance, schema)
    elif instance not in values:
        yield ValidationError(f"{instance!r} is not one of {values!r}")


def _check_pattern(validator: Validator, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not re.search(pattern, instance):
        yield ValidationError(f"it does not match {pattern!r}")


def _without_slow(schema: Any) -> Any:
    """The schema without the patterns that could take long, and without what depends on them. Without names
    of dialects too, by which the library would go on with checks that nobody counts.
    """
    if isinstance(schema, list):
        return [_without_slow(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        name: value
        if name in VALUES
        else {inner: _without_slow(one) for inner, one in value.items()}
        if name in BY_NAME and isinstance(value, dict)
        else _without_slow(value)
        for name, value in schema.items()
        if name not in ("$schema", "$id")
    }
    if isinstance(pattern := kept.get("pattern"), str) and not is_quick(pattern):
        del kept["pattern"]
    # keys are as long as their writer likes, and each is matched with each pattern
    if isinstance(kept.get("patternProperties"), dict):
        for name in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            kept.pop(name, None)
    return kept


def is_quick(pattern: str) -> bool:
    """Whether a pattern takes no more than the square of a text's length: no group is repeated, nothing is
    looked up again, and little is repeated or optional.
    """
    if len(pattern) > MAX_PATTERN:
        return False
    repeated = optional = 0
    before = ""
    for piece in _PIECES.findall(pattern):
        is_repeat = piece in ("*", "+") or (piece[0] == "{" and "," in piece)
        if (before == ")" and (is_repeat or piece[0] == "{")) or (piece[0] == "\\" and piece[1:].isdigit()):
            return False
        if piece == "?" and before == "(":
            return False
        repeated += is_repeat
        optional += piece == "?" and before not in ("*", "+", "?")
        before = piece
    starts_anywhere = not pattern.startswith("^") or "|" in pattern
    if repeated + starts_anywhere > MOST_REPEATED or optional > MOST_OPTIONAL:
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError):  # of another dialect of patterns; repeated more than we can count
        return False
    return True
