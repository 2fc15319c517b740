"""The door of every page: the host names the tenant, and everything behind runs inside that tenant's scope.

Guards against: pages of one tenant on another's host, an answer from `public` for a host nobody has, a
suspended or half-migrated tenant, a session that is read where only keys count, and `/api/v1` telling which
tenants there are: whatever is wrong with a key gets one answer, given here, before the tenant's door is
looked at.
Does not guard: `/v1`, which the gateway serves before Django sees it.
"""

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, OperationalError
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import set_urlconf
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotAuthenticated

from foundation.error_pages import DatabaseAway, answer_error, answer_problem, is_program
from tenants.context import Scope, use_scope
from tenants.doors import cors, hosts
from tenants.doors.hosts import DoorState, KnownTenant
from tenants.doors.key_reader import key_reader
from tenants.links import platform_address

OPEN_ON_EVERY_HOST = ("/healthz/",)


class TenantMiddleware:
    """First in MIDDLEWARE. Sync and async: in an event loop the database is asked in a worker
    thread, and only when memory is stale.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        if iscoroutinefunction(self):
            return self._call_async(request)
        scope, refusal = self._find_scope(request)
        if refusal:
            return _tell_pages(request, refusal)
        with use_scope(scope):
            return _tell_pages(request, self.get_response(request))

    async def _call_async(self, request):
        scope, refusal = (
            await sync_to_async(self._find_scope)(request)
            if not self._is_remembered(request)
            else self._find_scope(request)
        )
        if refusal:
            return _tell_pages(request, refusal)
        with use_scope(scope):
            return _tell_pages(request, await self.get_response(request))

    @staticmethod
    def _is_remembered(request) -> bool:
        host = _host_of(request)
        is_known, door = hosts.recall(f"host:{host}")
        if _key_of(request) is not None or (_is_api(request) and "Origin" in request.headers):
            return False
        return hosts.is_platform_host(host) or (is_known and door is not None)

    def _find_scope(self, request) -> tuple[Scope | None, HttpResponse | None]:
        request.tenant = None
        request.web_origins = ()
        if request.path_info.startswith(OPEN_ON_EVERY_HOST):
            request.COOKIES = {}  # a tenant's session is none here: it would be taken for one that has ended
            _is_allowed(request)  # probes ask at names that no page has, such as a container's
            return self._platform(request), None
        try:
            door, refusal = (
                self._find_owner_of_key(request) if _is_api(request) else self._find_owner(request)
            )
        except OperationalError:
            return None, answer_error(request, DatabaseAway())
        if refusal is not None:
            return None, refusal
        if door is None:
            return self._platform(request), None
        if door.state == DoorState.SUSPENDED:
            return None, _refuse(
                request,
                403,
                "tenant_suspended",
                _("This organisation's access is suspended. Its data is kept."),
            )
        if door.state == DoorState.BEHIND:
            return None, _refuse(
                request,
                503,
                "tenant_upgrading",
                _("This organisation is being upgraded. Try again in a moment."),
            )
        request.tenant = door
        return Scope("tenant", door.slug), None

    @staticmethod
    def _find_owner(request) -> tuple[KnownTenant | None, HttpResponse | None]:
        """Whose page it is; None: the platform's. At a host that nobody has there are none."""
        try:
            request.get_host()
        except DisallowedHost:
            return None, _refuse_host(request, _("This host name is not valid."))
        host = _host_of(request)
        if hosts.is_platform_host(host):
            return None, None
        door = hosts.find_tenant_by_host(host)
        if door is None:
            return None, _refuse_host(request, _("No organisation is set up at this address."))
        return door, None

    @staticmethod
    def _find_owner_of_key(request) -> tuple[KnownTenant | None, HttpResponse | None]:
        """Whose API is called. On a tenant's host only its own keys count. At the platform's hosts and at any
        other the key says whose it is, and nothing else does: no session is read there.
        """
        host, key, is_allowed = _host_of(request), _key_of(request), _is_allowed(request)
        door = None if hosts.is_platform_host(host) else hosts.find_tenant_by_host(host)
        if _is_preflight(request):
            return None, _answer_preflight(request, door)
        _note_web_origins(request, door)
        if door is None or not is_allowed:
            request.COOKIES = {}
            if key is None:
                return None, _refuse_stranger(request)
        if door is None:
            door = hosts.find_tenant_by_slug(key_reader().slug_of(key or ""))
        if door is None or (key is not None and not _is_good(key, door)):
            return None, _refuse_stranger(request)
        _note_web_origins(request, door)
        return door, None

    @staticmethod
    def _platform(request) -> Scope:
        request.urlconf = "config.urls_platform"
        set_urlconf(request.urlconf)
        return Scope("platform")


def _host_of(request) -> str:
    """As it was sent: `get_host` judges whether pages may believe it."""
    return hosts.name_of(request.META.get("HTTP_HOST", ""))


def _is_allowed(request) -> bool:
    """Whether links may be made of the request's host (ALLOWED_HOSTS). If not, they get the server's own
    address: a key is answered all the same.
    """
    try:
        request.get_host()
    except DisallowedHost:
        own = f"{request.META['SERVER_NAME']}:{request.META['SERVER_PORT']}"
        request.get_host = lambda: own
        return False
    return True


def _is_api(request) -> bool:
    return request.path_info.startswith("/api/v1/")


def _key_of(request) -> str | None:
    """The API key that a request to `/api/v1` shows. On the platform's hosts it names the tenant."""
    return key_reader().read(request) if _is_api(request) else None


def _is_preflight(request) -> bool:
    wanted = request.headers.get("Access-Control-Request-Method", "")
    return cors.is_preflight(request.method, request.headers.get("Origin", ""), wanted)


def _answer_preflight(request, door: KnownTenant | None) -> HttpResponse:
    wanted = request.headers.get("Access-Control-Request-Headers", "")
    try:
        allowed = hosts.find_web_origins(door.slug) if door else None
        headers = cors.preflight_headers(request.headers["Origin"], wanted, allowed)
    except cors.OriginNotListed as exc:
        return _refuse(request, exc.http_status, exc.code, exc.message)
    return HttpResponse(status=204, headers=headers)


def _note_web_origins(request, door: KnownTenant | None) -> None:
    if door is not None and "Origin" in request.headers:
        request.web_origins = hosts.find_web_origins(door.slug)


def _tell_pages(request, response: HttpResponse) -> HttpResponse:
    """Whether the web page that asked may read the answer of the API."""
    if _is_api(request) and not _is_preflight(request):
        headers = cors.answer_headers(request.headers.get("Origin", ""), request.web_origins)
        patch_vary_headers(response, [headers.pop("vary")])
        for name, value in headers.items():
            response[name] = value
    return response


def _is_good(key: str, door: KnownTenant) -> bool:
    """Whether this is a usable key of the tenant, as the room that knows keys says."""
    if key_reader().slug_of(key) != door.slug:
        return False
    try:
        with use_scope(Scope("tenant", door.slug)):
            return key_reader().is_good(key)
    except OperationalError:
        raise  # the database is down: not an answer about the key
    except DatabaseError:
        return False  # the schema went away a moment ago


def _refuse_stranger(request) -> HttpResponse:
    """What the API itself says without a key, or with one that opens nothing."""
    if _key_of(request) is not None:
        return _refuse(
            request,
            401,
            "invalid_api_key",
            _("This API key is not valid: it is unknown, expired or revoked."),
        )
    return _refuse(request, 401, NotAuthenticated.default_code, NotAuthenticated.default_detail)


def _refuse_host(request, message: str | Promise) -> HttpResponse:
    return _refuse(request, 404, "unknown_host", message, address=platform_address(request))


def _refuse(request, status: int, code: str, message: str | Promise, **context: str) -> HttpResponse:
    response: HttpResponse
    with translation.override(translation.get_language_from_request(request)):
        if is_program(request):
            response = answer_problem(request, status, code, message)
        else:
            response = render(request, f"errors/{code}.html", context | {"message": message}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response["Retry-After"] = "5"
    return response
