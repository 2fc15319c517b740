"""JSON schemas as Anthropic holds its models to them. It refuses keywords that it does not know, so they are
told to the model in the description of their place, as Anthropic's own client does, and checked by us.
"""

from typing import Any

import orjson

KEPT = frozenset({"type", "enum", "const", "default", "title", "description", "required", "$ref"})
BY_NAME = frozenset({"properties", "$defs", "definitions"})  # hold a schema under each name
LISTS = frozenset({"anyOf", "allOf"})
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
MOST_ITEMS_ASKED = 1  # of `minItems`
CLOSED = "additionalProperties"


def is_open(schema: Any) -> bool:
    """Whether it lets objects have fields that it does not name: no model is held to such a schema."""
    if isinstance(schema, list):
        return any(map(is_open, schema))
    if not isinstance(schema, dict):
        return False
    if schema.get(CLOSED, False) is not False or "patternProperties" in schema:
        return True
    inner = [schema[name] for name in ("items", *LISTS, "oneOf") if name in schema]
    named = [one for name in BY_NAME if isinstance(one := schema.get(name), dict)]
    return is_open(inner) or any(is_open(list(one.values())) for one in named)


def narrow(schema: Any) -> Any:
    """What Anthropic takes of it; itself where that is all."""
    if not isinstance(schema, dict):
        return schema
    written: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in schema.items():
        if name in KEPT:
            written[name] = value
        elif name in BY_NAME and isinstance(value, dict):
            written[name] = {key: narrow(one) for key, one in value.items()}
        elif name in LISTS and isinstance(value, list):
            written[name] = [narrow(one) for one in value]
        elif name == "oneOf" and isinstance(value, list) and "anyOf" not in schema:
            written["anyOf"] = [narrow(one) for one in value]
        elif name == "items" and isinstance(value, dict):
            written[name] = narrow(value)
        elif not _is_taken(name, value):
            rest[name] = value
        else:
            written[name] = value
    if _is_object(schema):
        written[CLOSED] = False
    if rest:
        told = orjson.dumps(rest).decode()
        said = written.get("description")
        written["description"] = f"{said}\n\n{told}" if isinstance(said, str) and said else told
    return written


def _is_taken(name: str, value: Any) -> bool:
    if name == "format":
        return isinstance(value, str) and value in FORMATS
    if name == "minItems":
        return type(value) is int and value <= MOST_ITEMS_ASKED
    return name == CLOSED and value is False


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
