"""Serializers that take what they name and refuse the rest: a field that nobody expects is a mistake, or an
attempt.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers


def printable(name: str) -> str:
    """A name somebody sent, as an answer may repeat it: short, and without halves of characters."""
    return name[:100].encode("utf-8", "replace").decode()


class StrictMixin:
    """Unknown and read-only fields are errors, each at its name."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            strange = [str(name) for name in data if name not in writable]
            if strange:
                raise serializers.ValidationError(
                    {printable(name): [self._refusal(name)] for name in strange[:20]}, code="unknown_field"
                )
        return super().to_internal_value(data)

    def _refusal(self, name: str) -> str:
        return _("This field cannot be set.") if name in self.fields else _("There is no such field.")


class StrictSerializer(StrictMixin, serializers.Serializer):
    """For input that is no model, and for query parameters."""


class StrictModelSerializer(StrictMixin, serializers.ModelSerializer):
    """For a model's rows. Uniqueness and rules that span fields are the services' business."""

    def get_validators(self) -> list:
        return []
