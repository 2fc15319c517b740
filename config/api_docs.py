"""The OpenAPI document of `/api/v1` and the pages over it."""

import threading
from typing import Any

from django.utils.translation import get_language
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response


class OpenAPIView(SpectacularJSONAPIView):
    """The document, made once per language: drf-spectacular loads parts of itself while it makes
    one, and two at once trip each other.
    """

    http_method_names = ["get", "head"]
    _documents: dict[str, dict[str, Any]] = {}
    _making = threading.Lock()

    def _get_schema_response(self, request: Request) -> Response:
        language = get_language() or ""
        if language not in self._documents:
            with self._making:
                if language not in self._documents:
                    self._documents[language] = super()._get_schema_response(request).data
        return Response(
            self._documents[language], headers={"Content-Disposition": 'inline; filename="openapi.json"'}
        )


class DocsView(SpectacularSwaggerSplitView):
    """The pages over the document. The library's answer to OPTIONS asks for a template that nobody has."""

    http_method_names = ["get", "head"]
