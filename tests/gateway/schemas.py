"""Schemas that several tests ask for."""

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}
PLACE = "response_format.json_schema.schema"
# two to the power of 30 checks
DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
ENDLESS = {"$defs": {**DOUBLING, "d30": {"type": "object"}}, "$ref": "#/$defs/d0"}


def of(schema, **more) -> dict:
    """The `response_format` that asks for it."""
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, **more}}


def required(schema) -> dict:
    """An object that must have a member of this schema."""
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}
