"""The OpenAPI document of `/api/v1`: which problems each operation answers with, the
`Idempotency-Key` header of creations.
"""

from http import HTTPStatus

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is stable; `detail` is in the language of the request.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "param": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
WRITES = {"POST", "PUT", "PATCH"}


class AtriumSchema(AutoSchema):
    """Adds to each operation the problems it can answer with, and to
    creations the `Idempotency-Key` header.
    """

    def _get_response_bodies(self, direction: str = "response") -> dict:
        bodies = super()._get_response_bodies(direction)
        statuses = [
            "401",
            "403",
            *(["404"] if "{" in self.path else []),
            *(["400", "409"] if self.method in WRITES else []),
        ]
        problem = {
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        }
        return bodies | {
            status: problem | {"description": HTTPStatus(int(status)).phrase}
            for status in statuses
            if status not in bodies
        }

    def get_override_parameters(self) -> list:
        if getattr(self.view, "action", None) != "create":
            return super().get_override_parameters()
        text = "The same creation under the same key happens once within 24 hours."
        return [
            *super().get_override_parameters(),
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description=text),
        ]

    def get_operation_id(self) -> str:
        return super().get_operation_id().removeprefix("api_v1_")


def add_problem(result: dict, generator, request, public) -> dict:
    """drf-spectacular's post-processing hook: the shape of problems, once."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    return result
