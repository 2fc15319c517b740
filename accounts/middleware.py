"""The language and time zone of a page: from the person's profile, then the cookie, then the browser."""

import zoneinfo

from django.utils import timezone, translation
from django.utils.translation import get_language_from_request


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
