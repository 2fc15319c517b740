"""The JSON schema of `response_format`: whether it is one, and whether any answer could keep it.

Reading one by the schema of schemas takes up to a third of a second, so it is done apart from the rest of a
request (gateway.steps.verify).

Guards against: addresses in `$ref`, which nobody fetches; schemas that take long to read; schemas whose
contradictions stand open (a property that must be there and may not, a least above a most, a reference that
never ends).
Does not guard against: contradictions that need a proof. There every answer fails, and the caller is told so.
"""

import re
from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import unquote

import orjson
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, extend, validator_for

from foundation.told import gettext as _
from gateway.operations.body import MAX_PLACE, check, wrong

PLACE = "response_format"
OBJECT, SCHEMA = "json_object", "json_schema"
FORMATS = ("text", OBJECT, SCHEMA, "structural_tag")  # the last is vLLM's
MAX_SCHEMA_BYTES = 64_000
MAX_PARTS = 2_000  # objects and arrays: each takes the library a tenth of a millisecond and more
MAX_STEPS = 10_000  # of the search for contradictions
MOST_KNOWN = 256  # schemas: programs send the same one with each call
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
VALUES = frozenset({"const", "enum", "default", "examples", "example"})  # hold no schemas
# hold a schema under each name, whatever the name is
BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
BOUNDS = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
)
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int, float),
}


def check_format(body: dict[str, Any]) -> tuple[str, Any] | None:
    """(format, schema) of an answer that is to be JSON; None for any other. The schema is not read yet: see
    `read_schema`. Raises InvalidInput naming the place.
    """
    check(body, PLACE, dict)
    wanted = body.get(PLACE)
    if wanted is None:
        return None
    kind = wanted.get("type")
    if kind not in FORMATS:
        raise wrong(f"{PLACE}.type", _("must be one of %(formats)s") % {"formats": ", ".join(FORMATS)})
    if kind == OBJECT:
        return OBJECT, {"type": "object"}
    if kind != SCHEMA:
        return None
    named = wanted.get(SCHEMA)
    place = f"{PLACE}.{SCHEMA}"
    if not isinstance(named, dict):
        raise wrong(place, _("must be an object"), "invalid_type")
    if not isinstance(name := named.get("name"), str) or not NAME.fullmatch(name):
        raise wrong(f"{place}.name", _("must be 1 to 64 letters, digits, “_” or “-”"))
    if "schema" not in named:
        return SCHEMA, {"type": "object"}
    check_size(named["schema"], f"{place}.schema")
    return SCHEMA, named["schema"]


def check_size(schema: Any, place: str) -> None:
    """Raises InvalidInput for what is no object, and for one that takes too long to read."""
    if not isinstance(schema, dict):
        raise wrong(place, _("must be an object"), "invalid_type")
    written = orjson.dumps(schema)
    if len(written) > MAX_SCHEMA_BYTES:
        raise wrong(place, _("must have at most %(limit)s kB") % {"limit": MAX_SCHEMA_BYTES // 1_000})
    if written.count(b"{") + written.count(b"[") > MAX_PARTS:
        raise wrong(place, _("must have at most %(limit)s objects and arrays") % {"limit": MAX_PARTS})


Path = tuple[str | int, ...]
Fault = tuple[Path, str | None]  # where; why it is no schema, None where it is one that nobody can keep
_known: dict[bytes, Fault | None] = {}
_knowing = Lock()


def is_known(schema: dict[str, Any]) -> bool:
    """Whether it was read lately, so that reading it takes no time."""
    return orjson.dumps(schema) in _known


def read_schema(schema: dict[str, Any], place: str) -> None:
    """Takes long. Raises InvalidInput for what is no JSON schema, and for one that no answer can keep."""
    written = orjson.dumps(schema)
    with _knowing:
        is_new, found = written not in _known, _known.get(written)
    if is_new:
        found = _find_fault(written)
        with _knowing:
            while len(_known) >= MOST_KNOWN:
                del _known[next(iter(_known))]
            _known[written] = found
    if found is not None:
        path, reason = found
        raise wrong(
            _join(place, *path)[:MAX_PLACE],
            _("cannot be kept by any answer")
            if reason is None
            else _("makes no JSON schema: %(reason)s") % {"reason": reason},
            "invalid_json_schema",
        )


def _find_fault(written: bytes) -> Fault | None:
    schema = orjson.loads(written)
    try:
        for path, target in _references(schema, ()):
            if not isinstance(target, str) or not target.startswith("#"):
                return path, "references lead to places in the schema itself (“#/…”)"
        dialect: Any = dialect_of(schema)  # a class, which mypy takes for no key of a cache
        error = next(_reader_of(dialect).iter_errors(schema), None)
        if error is not None:
            return tuple(error.absolute_path), error.message[:200]
        path_of_contradiction = _Search(schema).find(schema, (), frozenset())
    except _Dangling as exc:
        return exc.path, "nothing stands where this leads"
    except RecursionError:
        return (), "it is nested too deep"
    return None if path_of_contradiction is None else (path_of_contradiction, None)


def dialect_of(schema: Any) -> type[Validator]:
    """As `$schema` says, which no request follows; else the newest."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    try:
        return validator_for(schema if isinstance(named, str) else {}, default=Draft202012Validator)
    except ValueError:  # no address at all
        return Draft202012Validator


@cache
def _reader_of(dialect: type[Validator]) -> Validator:
    """What checks the schemas of a dialect. Patterns are not: they have dialects of their own."""
    meta = dialect.META_SCHEMA
    reader: Any = extend(validator_for(meta, default=dialect), {"uniqueItems": check_unique})
    evolve = reader.evolve

    def keep(validator: Any, *, schema: Any, **changes: Any) -> Any:
        """Where a part names its dialect the library would return to its own checks."""
        is_named = isinstance(schema, dict) and "$schema" in schema
        return evolve(validator, schema={**schema, "$schema": ""} if is_named else schema, **changes)

    reader.evolve = keep
    return reader(meta)


def check_unique(validator: Validator, is_wanted: bool, instance: Any, schema: Any) -> Iterator[Any]:
    """Whether no two items are alike, in linear time."""
    if is_wanted and isinstance(instance, list):
        written = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in instance}
        if len(written) < len(instance):
            yield ValidationError("it has two items that are alike")


def _references(schema: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from _references(one, (*path, number))
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name in REFERENCES:
                yield (*path, name), value
            elif name in BY_NAME and isinstance(value, dict):
                for inner, one in value.items():
                    yield from _references(one, (*path, name, inner))
            elif name not in VALUES:
                yield from _references(value, (*path, name))


class _Dangling(Exception):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


class _Search:
    """For what no answer can keep. What it does not understand may be kept."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps_left = MAX_STEPS

    def find(self, schema: Any, path: Path, within: frozenset[str]) -> Path | None:
        """Where the schema contradicts itself. `within`: the references that led here without an end."""
        self._steps_left -= 1
        if schema is False:
            return path
        if not isinstance(schema, dict) or self._steps_left < 0:
            return None
        target = schema.get("$ref")
        if isinstance(target, str):
            if target in within:
                return (*path, "$ref")
            found = self._resolve(target, (*path, "$ref"))
            if self.find(found, path, within | {target}) is not None:
                return (*path, "$ref")
        return (
            _find_bounds(schema, path)
            or _find_values(schema, path)
            or self._find_combined(schema, path, within)
            or self._find_inside(schema, path, within)
        )

    def _resolve(self, target: str, path: Path) -> Any:
        """Raises _Dangling. Names of anchors are left to the library."""
        if target != "#" and not target.startswith("#/"):
            return True
        found = self._root
        for part in target.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise _Dangling(path) from None
        return found

    def _find_combined(self, schema: dict[str, Any], path: Path, within: frozenset[str]) -> Path | None:
        for number, one in enumerate(_list(schema, "allOf")):
            if (found := self.find(one, (*path, "allOf", number), within)) is not None:
                return found
        for name in ("anyOf", "oneOf"):
            tried = [
                self.find(one, (*path, name, number), within)
                for number, one in enumerate(_list(schema, name))
            ]
            if tried and all(one is not None for one in tried):
                return tried[0]
        return None

    def _find_inside(self, schema: dict[str, Any], path: Path, within: frozenset[str]) -> Path | None:
        """Of what an object must have and an array must hold."""
        if schema.get("type") == "object":
            properties = schema.get("properties") or {}
            is_closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
            for number, name in enumerate(_list(schema, "required")):
                if name not in properties and is_closed:
                    return (*path, "required", number)
                inner = (*path, "properties", name)
                if (found := self.find(properties.get(name, True), inner, within)) is not None:
                    return found
        if (
            schema.get("type") == "array"
            and (schema.get("minItems") or 0) > 0
            and "prefixItems" not in schema
        ):
            return self.find(schema.get("items", True), (*path, "items"), within)
        return None


def _list(schema: dict[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _find_bounds(schema: dict[str, Any], path: Path) -> Path | None:
    for least, most in BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            return (*path, least)
    return None


def _find_values(schema: dict[str, Any], path: Path) -> Path | None:
    """An empty choice, and one of which nothing is of the type that is wanted."""
    name = "const" if "const" in schema else "enum"
    if name not in schema:
        return None
    values = [schema[name]] if name == "const" else schema[name]
    types = schema.get("type")
    wanted = [types] if isinstance(types, str) else types
    if not values or (wanted and not any(_is_of(value, kind) for value in values for kind in wanted)):
        return (*path, name)
    return None


def _is_of(value: Any, kind: Any) -> bool:
    if kind not in list(TYPES):  # of another dialect
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _join(place: str, *path: str | int) -> str:
    """`response_format.json_schema.schema.properties.age`, `….anyOf[2]`."""
    return place + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
