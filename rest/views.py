"""The base of every view of `/api/v1`.

Covers: an action without an entry in `rights` is refused; unknown query parameters are refused; the audit log
knows the person behind an API key; creations heed `Idempotency-Key`.
Does not cover: which objects someone sees; that is `get_visible_…` and `list_visible_…`.
"""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from rest_framework import viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from rest.idempotency import once
from rest.permissions import ByAction
from rest.serializers import printable
from tenants.audit import note_actor

PAGING = {"limit", "cursor"}


class AtriumMixin:
    """What view sets and single views have in common."""

    permission_classes = [ByAction]
    metadata_class = None
    rights: dict[str, str] = {}
    query_serializers: dict[str, type[Serializer]] = {}
    is_paged = False  # of an extra action that answers with a list

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        note_actor(request.user)
        self.query = self._read_query(request)

    def _read_query(self, request: Request) -> dict[str, Any]:
        """The query parameters, typed. Unknown ones are refused."""
        action = getattr(self, "action", None) or request.method.lower()
        serializer_class = self.query_serializers.get(action)
        known = PAGING if action == "list" or self.is_paged else set()
        given = {name: value for name, value in request.query_params.items() if name not in known}
        if serializer_class is None:
            if given:
                raise ValidationError(
                    {printable(name): [_("There is no such parameter.")] for name in list(given)[:20]},
                    code="unknown_parameter",
                )
            return {}
        serializer = serializer_class(data=given)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class AtriumView(AtriumMixin, APIView):
    """A single resource."""


class AtriumViewSet(AtriumMixin, viewsets.GenericViewSet):
    """A collection. A subclass gives `serializer_class`, `rights` and a selector."""

    lookup_value_converter = "uuid"
    ordering: tuple[str, ...] = ("-created_at", "-pk")

    def respond(self, row: Any, status: int = 200) -> Response:
        """A row as it is read, whatever serializer took the input."""
        return Response(self.serializer_class(row, context=self.get_serializer_context()).data, status=status)

    def read_body(self, serializer_class: type[Serializer], *, partial: bool = False) -> dict[str, Any]:
        serializer = serializer_class(
            data=self.request.data, partial=partial, context=self.get_serializer_context()
        )
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def create_once(self, create) -> Response:
        """Run a creation in a transaction, heeding `Idempotency-Key`."""

        def attempt() -> Response:
            with transaction.atomic():
                return create()

        return once(self.request, attempt)

    def page(self, rows: Any, serializer_class: type[Serializer] | None = None) -> Response:
        found = self.paginate_queryset(rows)
        serializer = (serializer_class or self.serializer_class)(
            found, many=True, context=self.get_serializer_context()
        )
        return self.get_paginated_response(serializer.data)
