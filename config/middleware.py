"""Request ids, the headers every answer carries, and errors of pages."""

import re
import secrets
from threading import Lock

from auditlog.middleware import AuditlogMiddleware
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render
from whitenoise.middleware import WhiteNoiseMiddleware

from config.logging import request_id_of_context
from foundation.error_pages import answer_error, is_program
from foundation.errors import AtriumError, InvalidInput
from foundation.header_policies import find_kind, headers_of, may_say
from foundation.spacing import join_texts

NO_TEXT = "%EF%BF%BD"  # U+FFFD, which stands for what is no text
_WELL_FORMED = re.compile(r"[A-Za-z0-9_.-]{8,64}")


class RequestIdMiddleware:
    """Gives each request an id that logs, error pages and answers name."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        given = request.headers.get("X-Request-ID", "")
        request.request_id = given if _WELL_FORMED.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        token = request_id_of_context.set(request.request_id)
        try:
            response = self.get_response(request)
        finally:
            request_id_of_context.reset(token)
        response.headers["X-Request-ID"] = request.request_id
        return response


class QueryMiddleware:
    """Puts U+FFFD in the place of NUL in query strings. PostgreSQL's texts hold no NUL, so whoever asks for
    one finds nothing, rather than an error or what the rest of the text finds.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query or "\0" in query:
            request.META["QUERY_STRING"] = query.replace("%00", NO_TEXT).replace("\0", NO_TEXT)
        return self.get_response(request)


class CompressionMiddleware(GZipMiddleware):
    """Compresses pages; their secrets are masked anew in each (Django's CSRF tokens), and their length is
    padded by chance, so that it tells nothing. Streams of answers are left alone, and what programs read.
    """

    def process_response(self, request, response):
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        return super().process_response(request, response) if is_page and not response.streaming else response


class SecurityHeadersMiddleware:
    """Gives each answer the policy of its kind of route (foundation.header_policies)."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        kind = find_kind(request.path_info)
        for name, value in headers_of(kind, is_secure=request.is_secure()).items():
            if not (may_say(kind, name) and name in response.headers):
                response.headers[name] = value
        return response


class AuditMiddleware(AuditlogMiddleware):
    """Notes the client's address as the server knows it: auditlog's own believes whatever `X-Forwarded-For`
    anyone sends.
    """

    @staticmethod
    def _get_remote_addr(request):
        return request.META.get("REMOTE_ADDR")


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """whitenoise, but with whole answers: its streams of files are synchronous, which an ASGI server must not
    iterate.

    A file that is not there is refused here, without session or database: config.intake lets these paths pass
    uncounted. Which there are is read when one is first asked for: processes load their code while `prepare`
    still collects them.
    """

    def __init__(self, get_response):
        self.get_response = get_response
        self._reading = Lock()
        self._is_read = False

    def __call__(self, request):
        if not request.path_info.startswith(settings.STATIC_URL):
            return self.get_response(request)
        with self._reading:
            if not self._is_read:
                super().__init__(self.get_response)
                self._is_read = True
        file = self.files.get(request.path_info)
        return HttpResponse(status=404) if file is None else self.serve(file, request)

    @staticmethod
    def serve(static_file, request):
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file:
                body = found.file.read()
        response = HttpResponse(body, status=int(found.status))
        for name, value in found.headers:
            response.headers[name] = value
        response.headers.setdefault("Content-Length", str(len(body)))
        return response


class ErrorMiddleware:
    """Pages: an AtriumError becomes a page (or, for htmx, a message) with its status; so does a value that
    no form refused, such as an id that is none in Django's own actions.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception) -> HttpResponse | None:
        if isinstance(exception, ValidationError):
            exception = InvalidInput(join_texts(exception.messages)[:500])
        if not isinstance(exception, AtriumError):
            return None
        if is_program(request):
            return answer_error(request, exception)
        context = {"error": exception, "request_id": getattr(request, "request_id", "")}
        template = "errors/_notice.html" if getattr(request, "htmx", False) else "errors/error.html"
        response = render(request, template, context, status=exception.http_status)
        if exception.retry_after_s:
            response["Retry-After"] = str(exception.retry_after_s)
        return response
