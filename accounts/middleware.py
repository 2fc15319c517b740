"""Sessions of the first release; the language and time zone of a page: from the person's profile, then the
cookie, then the browser.
"""

import zoneinfo

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import get_language_from_request


class EarlierSessionMiddleware:
    """Stands before Django's: whoever was logged in before cookies carried the installation stays so."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        earlier = request.COOKIES.get(settings.EARLIER_SESSION_COOKIE_NAME)
        if earlier:
            request.COOKIES.setdefault(settings.SESSION_COOKIE_NAME, earlier)
        return self.get_response(request)


class LanguageMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        user = request.user
        chosen = user.language if user.is_authenticated else ""
        language = chosen or get_language_from_request(request)
        zone = zoneinfo.ZoneInfo(user.time_zone) if user.is_authenticated and user.time_zone else None  # UTC
        with translation.override(language), timezone.override(zone):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        return response
